//! `--database URL`.

use std::{convert::Infallible, str::FromStr};

use anyhow::{Context, Result, ensure};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// Where a TiDB is. What was typed may hold a password, so it is looked at only when it is needed and never printed.
#[derive(Clone, Debug)]
pub struct DatabaseUrl(SecretString);

impl FromStr for DatabaseUrl {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(SecretString::from(text)))
    }
}

impl DatabaseUrl {
    /// The same as variables of the configuration: children are told by their environment, which others cannot read.
    pub(crate) fn variables(&self) -> Result<Vec<(String, String)>> {
        let shape = "--database: expected mysql://USER:PASSWORD@HOST:PORT/NAME";
        let url = Url::parse(self.0.expose_secret()).map_err(|_| anyhow::anyhow!("{shape}"))?;
        ensure!(url.scheme() == "mysql", "{shape}; other databases than TiDB are not supported");
        ensure!(
            url.query().is_none() && url.fragment().is_none(),
            "--database: nothing may follow NAME; TLS and the like are set in section `database.tidb`"
        );
        let host = url.host_str().with_context(|| format!("{shape}: HOST is missing"))?;
        let name = url.path().trim_matches('/');
        let mut variables = vec![
            ("ENGINE".to_owned(), "tidb".to_owned()),
            ("TIDB__HOST".to_owned(), host.trim_matches(['[', ']']).to_owned()),
            ("TIDB__PORT".to_owned(), url.port().unwrap_or(4_000).to_string()),
        ];
        let given = [
            ("TIDB__USER", Some(url.username()).filter(|user| !user.is_empty())),
            ("TIDB__PASSWORD", url.password()),
            ("TIDB__DATABASE", Some(name).filter(|name| !name.is_empty())),
        ];
        for (key, value) in given {
            let Some(value) = value else { continue };
            let plain = percent_decode_str(value).decode_utf8();
            let plain = plain.map_err(|_| anyhow::anyhow!("{shape}: a part of it is not UTF-8"))?;
            variables.push((key.to_owned(), plain.into_owned()));
        }
        Ok(variables.into_iter().map(|(key, value)| (format!("MERIDIAN__DATABASE__{key}"), value)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Vec<(String, String)>> {
        text.parse::<DatabaseUrl>().unwrap().variables()
    }

    #[test]
    fn every_part_becomes_a_variable() {
        let found = of("mysql://shop:p%40ss@db.example:4001/orders").unwrap();
        let expected = [
            ("ENGINE", "tidb"),
            ("TIDB__HOST", "db.example"),
            ("TIDB__PORT", "4001"),
            ("TIDB__USER", "shop"),
            ("TIDB__PASSWORD", "p@ss"),
            ("TIDB__DATABASE", "orders"),
        ];
        let expected = expected.map(|(key, value)| (format!("MERIDIAN__DATABASE__{key}"), value.to_owned()));
        assert_eq!(found, expected);
        // What is left out stays as the configuration has it.
        assert_eq!(of("mysql://127.0.0.1").unwrap().len(), 3);
    }

    #[test]
    fn what_is_wrong_is_told_without_the_password() {
        for wrong in ["postgres://a:hush@b/c", "hush", "mysql://u:hush@h/d?ssl=1", "mysql://u:hush%ff@h/d"] {
            let error = format!("{:#}", of(wrong).unwrap_err());
            assert!(error.contains("--database") && !error.contains("hush"), "{error}");
        }
        assert!(!format!("{:?}", "mysql://u:hush@h/d".parse::<DatabaseUrl>().unwrap()).contains("hush"));
    }
}
