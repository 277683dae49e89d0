//! Rows.
#![allow(
    unreachable_pub,
    reason = "the derives of sea-orm want public types; the modules keep them inside the crate"
)]

pub(crate) mod import {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "import")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub shard: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub kind: String,
        pub file_name: String,
        pub currency: String,
        pub state: String,
        pub position: i64,
        pub row_count: i64,
        pub rows_done: i64,
        pub created: i64,
        pub updated: i64,
        pub unchanged: i64,
        pub failed: i64,
        pub attempts: i32,
        pub updated_at: i64,
        pub error: Option<String>,
        pub started_at: i64,
        pub finished_at: Option<i64>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) mod import_chunk {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "import_chunk")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub shard: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub import_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub number: i32,
        pub bytes: Vec<u8>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) mod import_error {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "import_error")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub shard: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub import_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub number: i64,
        pub line: i64,
        pub row_key: String,
        pub column_name: Option<String>,
        pub reason: String,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
