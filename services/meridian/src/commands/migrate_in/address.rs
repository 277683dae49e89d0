//! `--from URL`, and the password that is not in it.

use std::io::Read;

use anyhow::{Context, Result, ensure};
use migrate_in::{SourceAddress, SourceTls};
use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use url::Url;

use crate::cli::{Source, Tls};

/// Where the password is, unless it comes over standard input.
const PASSWORD: &str = "MERIDIAN_MIGRATE_IN_PASSWORD";

/// The address of a source with its password.
pub(super) fn read(source: &Source) -> Result<SourceAddress> {
    let password = if source.password_stdin {
        let mut text = String::new();
        std::io::stdin().take(4_096).read_to_string(&mut text).context("cannot read the password")?;
        text.trim_end_matches(['\r', '\n']).to_owned()
    } else {
        variable(PASSWORD)
    };
    parse(source, SecretString::from(password))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a secret of this command alone, not of the shop's configuration"
)]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn parse(source: &Source, password: SecretString) -> Result<SourceAddress> {
    let shape = "--from: expected mysql://USER@HOST:PORT/DATABASE";
    // What was typed may hold a password all the same: it is never printed.
    let url = Url::parse(&source.from).map_err(|_| anyhow::anyhow!("{shape}"))?;
    ensure!(url.scheme() == "mysql", "{shape}");
    ensure!(
        url.password().is_none(),
        "--from: leave the password out, others can read a command line; give it in {PASSWORD} or with --password-stdin"
    );
    ensure!(url.query().is_none() && url.fragment().is_none(), "--from: nothing may follow DATABASE");
    let plain = |text: &str| -> Result<String> {
        let text = percent_decode_str(text).decode_utf8();
        Ok(text.map_err(|_| anyhow::anyhow!("{shape}: a part of it is not UTF-8"))?.into_owned())
    };
    let database = plain(url.path().trim_matches('/'))?;
    ensure!(!database.is_empty(), "{shape}: DATABASE is missing");
    ensure!(!url.username().is_empty(), "{shape}: USER is missing");
    let host = url.host_str().with_context(|| format!("{shape}: HOST is missing"))?;
    let tls = match source.tls {
        Tls::Off => SourceTls::Off,
        Tls::Preferred => SourceTls::Preferred,
        Tls::Verified => SourceTls::Verified,
    };
    Ok(SourceAddress {
        host: host.trim_matches(['[', ']']).to_owned(),
        port: url.port().unwrap_or(3_306),
        user: plain(url.username())?,
        password,
        database,
        tls,
        ca: source.ca.clone(),
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::cli::Which;

    fn of(from: &str) -> Result<SourceAddress> {
        let which = Which { mapping: None };
        let source = Source { from: from.to_owned(), password_stdin: false, tls: Tls::Off, ca: None, which };
        parse(&source, SecretString::from("hush"))
    }

    #[test]
    fn an_address_has_everything_but_the_password() {
        let address = of("mysql://read%40er@db.example:3307/shop").unwrap();
        assert_eq!((address.user.as_str(), address.port), ("read@er", 3_307));
        assert_eq!(address.password.expose_secret(), "hush");
        assert_eq!(of("mysql://r@db.example/shop").unwrap().port, 3_306);
        assert!(!format!("{address:?}").contains("hush"));
    }

    #[test]
    fn what_is_wrong_is_told_without_a_secret() {
        for wrong in [
            "mysql://u:sesame@h/d",
            "postgres://u:sesame@h/d",
            "sesame",
            "mysql://h/d",
            "mysql://u@h",
            "mysql://u@h/d?ssl=sesame",
        ] {
            let error = format!("{:#}", of(wrong).unwrap_err());
            assert!(error.starts_with("--from:") && !error.contains("sesame"), "{error}");
        }
    }
}
