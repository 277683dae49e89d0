//! Imports of products and categories from files.

use kernel::{Currency, Page, Timestamp, id_kinds};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

id_kinds! {
    /// An import.
    ImportId, Import = "imp";
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportKind {
    /// Products: Shopify product CSV.
    Products,
    /// Categories: JSON list of `{id, name, path}`, gzip or plain.
    Categories,
}

/// Where an import stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportState {
    /// Waiting or at work.
    Running,
    /// Done; rows with errors are in the error file.
    Done,
    /// The file as a whole cannot be read.
    Failed,
}

/// Starts an import.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StartImport {
    /// What the file holds.
    pub kind: ImportKind,
    /// The file's name, for people.
    pub file_name: String,
    /// The file, base64; at most 64 MiB.
    pub bytes_base64: String,
    /// Currency of the prices.
    pub currency: Currency,
}

/// An import and its progress.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ImportView {
    /// Its id.
    pub id: ImportId,
    /// What the file holds.
    pub kind: ImportKind,
    /// The file's name.
    pub file_name: String,
    /// Where it stands.
    pub state: ImportState,
    /// Rows in the file, once counted.
    pub rows: u64,
    /// Rows read so far.
    pub rows_done: u64,
    /// Products or categories created.
    pub created: u64,
    /// Products or categories changed.
    pub updated: u64,
    /// Products or categories as before.
    pub unchanged: u64,
    /// Rows with errors.
    pub failed: u64,
    /// Why the file as a whole cannot be read.
    pub error: Option<String>,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// A row that is not in, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportError {
    /// Line in the file, from 1 (the header).
    pub line: u64,
    /// The product's handle or the category's id, where known.
    pub key: String,
    /// Column, where one is to blame.
    pub column: Option<String>,
    /// Why.
    pub reason: String,
}

/// Which errors to list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListImportErrors {
    /// Of which import.
    pub import_id: ImportId,
    /// From the page before.
    pub cursor: Option<String>,
    /// 1 to 100.
    pub limit: Option<u32>,
}

contract! {
    /// Imports (`import.run`).
    Imports as "import", ImportsClient, ImportsDispatcher {
        /// Takes a file in and starts working on it in the background.
        start(StartImport) -> ImportView;
        /// An import.
        import(ImportId) -> ImportView;
        /// Imports, newest first; 50 at most.
        imports(()) -> Vec<ImportView>;
        /// Rows that are not in.
        errors(ListImportErrors) -> Page<ImportError>;
    }
}
