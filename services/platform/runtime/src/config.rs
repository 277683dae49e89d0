//! Layered configuration: defaults < environment profile < file < variables < command line.

mod mask;
mod variables;

use std::{fs, path::Path};

use anyhow::{Context, Result, anyhow, bail};
use config::{File, FileFormat, Value};
use serde::de::DeserializeOwned;
use toml::Table;

/// The configuration of a process. Each part takes its typed section with [`Config::section`].
#[derive(Clone)]
pub struct Config {
    merged: config::Config,
    layers: Vec<Layer>,
}

#[derive(Clone)]
struct Layer {
    origin: String,
    table: Table,
}

impl Config {
    /// Starts with the documented defaults, a TOML text that has every section.
    pub fn builder(defaults: &str) -> ConfigBuilder {
        ConfigBuilder { layers: vec![Layer::parse("the defaults", defaults)] }
    }

    /// The section called `name`; where it is silent, `T`'s own defaults hold. An error names the key, what is wrong with
    /// it and the layer that set it.
    pub fn section<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let section = match self.merged.get::<Value>(name) {
            Ok(section) => section,
            Err(config::ConfigError::NotFound(_)) => Value::from(config::Map::<String, Value>::new()),
            Err(error) => return Err(error).with_context(|| format!("section {name} of the configuration")),
        };
        serde_path_to_error::deserialize(section).map_err(|error| self.explain(name, &error))
    }

    /// The whole effective configuration as TOML, secrets masked.
    pub fn show(&self) -> Result<String> {
        let mut table: Table =
            self.merged.clone().try_deserialize().context("the configuration cannot be shown")?;
        mask::mask(&mut table);
        Ok(toml::to_string_pretty(&table)?)
    }

    fn explain(
        &self,
        section: &str,
        error: &serde_path_to_error::Error<config::ConfigError>,
    ) -> anyhow::Error {
        let mut keys: Vec<String> = vec![section.to_owned()];
        for segment in error.path() {
            match segment {
                serde_path_to_error::Segment::Map { key } => keys.push(key.clone()),
                serde_path_to_error::Segment::Seq { .. }
                | serde_path_to_error::Segment::Enum { .. }
                | serde_path_to_error::Segment::Unknown => break,
            }
        }
        let mut detail = error.inner().to_string();
        if let Some(field) = detail.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next())
            && keys.last().is_none_or(|last| last != field)
        {
            keys.push(field.to_owned());
        }
        if keys.last().is_some_and(|last| mask::is_secret(last)) {
            detail = "is not valid (not shown: it is a secret)".to_owned();
        }
        let origin =
            self.layers.iter().rev().find(|layer| layer.has(&keys)).map(|layer| layer.origin.clone());
        let origin = origin.map(|origin| format!(" (set by {origin})")).unwrap_or_default();
        anyhow!("configuration key {}{origin}: {detail}", keys.join("."))
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let origins: Vec<&str> = self.layers.iter().map(|layer| layer.origin.as_str()).collect();
        f.debug_struct("Config").field("layers", &origins).finish_non_exhaustive()
    }
}

/// Collects layers; each one overrides those before it.
#[derive(Clone)]
pub struct ConfigBuilder {
    layers: Vec<Result<Layer, String>>,
}

impl ConfigBuilder {
    /// The profile of an environment (dev, test, prod), a TOML text.
    #[must_use]
    pub fn profile(mut self, name: &str, text: &str) -> Self {
        self.layers.push(Layer::parse(&format!("profile {name}"), text));
        self
    }

    /// A TOML file that must exist.
    #[must_use]
    pub fn file(mut self, path: &Path) -> Self {
        let origin = path.display().to_string();
        self.layers.push(match fs::read_to_string(path) {
            Ok(text) => Layer::parse(&origin, &text),
            Err(error) => Err(format!("cannot read {origin}: {error}")),
        });
        self
    }

    /// Variables `MERIDIAN__SECTION__KEY=value`; others are left alone. A list is written as in TOML: `["a", "b"]`.
    #[must_use]
    pub fn variables(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        for (name, value) in variables {
            if let Some(layer) = variables::layer(&name, &value) {
                self.layers.push(layer.map(|table| Layer { origin: format!("variable {name}"), table }));
            }
        }
        self
    }

    /// One value from the command line; `key` is `section.key`.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<toml::Value>) -> Self {
        let path: Vec<&str> = key.split('.').collect();
        let table = variables::nest(&path, value.into());
        self.layers.push(Ok(Layer { origin: "the command line".to_owned(), table }));
        self
    }

    /// Puts the layers together. An error names a text that is no TOML, or a section that the defaults do not have.
    pub fn build(self) -> Result<Config> {
        let layers =
            self.layers.into_iter().collect::<Result<Vec<Layer>, String>>().map_err(|text| anyhow!(text))?;
        let mut merged = config::Config::builder();
        for layer in &layers {
            for (section, value) in &layer.table {
                if !value.is_table() {
                    bail!("configuration key {section} (set by {}) belongs into a section", layer.origin);
                }
                if !layers[0].table.contains_key(section) {
                    let known: Vec<&str> = layers[0].table.keys().map(String::as_str).collect();
                    let known = known.join(", ");
                    bail!(
                        "no section of the configuration is called {section} (set by {}); there are: {known}",
                        layer.origin
                    );
                }
            }
            merged = merged.add_source(File::from_str(&toml::to_string(&layer.table)?, FileFormat::Toml));
        }
        Ok(Config { merged: merged.build()?, layers })
    }
}

impl std::fmt::Debug for ConfigBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConfigBuilder").field("layers", &self.layers.len()).finish()
    }
}

impl Layer {
    fn parse(origin: &str, text: &str) -> Result<Self, String> {
        // The parser's own text quotes the line, which may hold a secret: only its place is told.
        let table = text.parse::<Table>().map_err(|error| {
            let line =
                error.span().map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
            format!("{origin} is not valid TOML, near line {line}: {}", error.message())
        })?;
        Ok(Self { origin: origin.to_owned(), table })
    }

    fn has(&self, keys: &[String]) -> bool {
        let mut table = &self.table;
        for (place, key) in keys.iter().enumerate() {
            match table.get(key) {
                Some(toml::Value::Table(inner)) => table = inner,
                Some(_) => return place + 1 == keys.len(),
                None => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Order {
        #[serde(with = "humantime_serde")]
        expiry: Duration,
        lines: u32,
        markets: Vec<String>,
        provider: Provider,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Provider {
        url: String,
        secret: String,
        port: u16,
    }

    impl Default for Order {
        fn default() -> Self {
            Self {
                expiry: Duration::from_secs(1),
                lines: 7,
                markets: Vec::new(),
                provider: Provider::default(),
            }
        }
    }

    const DEFAULTS: &str =
        "[order]\nexpiry = '30m'\n[order.provider]\nurl = 'http://a'\nsecret = ''\n[http]\n";

    fn vars(all: &[(&str, &str)]) -> Vec<(String, String)> {
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn later_layers_win_key_by_key() {
        let file = file("[order]\nlines = 3\n[order.provider]\nport = 1");
        let config = Config::builder(DEFAULTS)
            .profile("dev", "[order]\nexpiry = '5m'\nlines = 2")
            .file(file.path())
            .variables(vars(&[
                ("MERIDIAN__ORDER__PROVIDER__PORT", "8080"),
                ("MERIDIAN__ORDER__MARKETS", "['us', 'eu']"),
                ("HOME", "/"),
            ]))
            .set("order.provider.url", "http://b")
            .build()
            .unwrap();
        let order: Order = config.section("order").unwrap();
        let provider = Provider { url: "http://b".to_owned(), secret: String::new(), port: 8080 };
        let markets = vec!["us".to_owned(), "eu".to_owned()];
        assert_eq!(order, Order { expiry: Duration::from_secs(300), lines: 3, markets, provider });
        assert_eq!(config.section::<Order>("cart").unwrap(), Order::default(), "a section that is nowhere");
    }

    #[test]
    fn errors_name_key_and_layer() {
        let file = file("[order]\nlinse = 3");
        let config = Config::builder(DEFAULTS).file(file.path()).build().unwrap();
        let error = config.section::<Order>("order").unwrap_err().to_string();
        assert!(
            error.contains("order.linse") && error.contains(&file.path().display().to_string()),
            "{error}"
        );
        assert!(error.contains("expected one of `expiry`"), "{error}");

        let variables = vars(&[("MERIDIAN__ORDER__PROVIDER__PORT", "many")]);
        let config = Config::builder(DEFAULTS).variables(variables).build().unwrap();
        let error = config.section::<Order>("order").unwrap_err().to_string();
        assert!(
            error.contains("order.provider.port (set by variable MERIDIAN__ORDER__PROVIDER__PORT)"),
            "{error}"
        );

        let error = Config::builder(DEFAULTS).profile("dev", "[ordr]\n").build().unwrap_err().to_string();
        assert!(error.contains("ordr (set by profile dev); there are: http, order"), "{error}");
        let error =
            Config::builder(DEFAULTS).profile("dev", "[order]\nsecret = hunter2").build().unwrap_err();
        assert!(
            error.to_string().contains("near line 2") && !format!("{error:?}").contains("hunter2"),
            "{error:?}"
        );
    }

    #[test]
    fn shown_without_secrets() {
        let variables = vars(&[
            ("MERIDIAN__ORDER__PROVIDER__SECRET", "hunter2"),
            ("MERIDIAN__ORDER__PROVIDER__URL", "https://me:hunter2@a/b"),
        ]);
        let shown = Config::builder(DEFAULTS).variables(variables).build().unwrap().show().unwrap();
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("secret = \"***\"") && shown.contains("https://***@a/b"), "{shown}");
        assert!(shown.contains("expiry = \"30m\""), "{shown}");
    }
}
