//! Secrets in configurations.

use secrecy::{ExposeSecret, SecretString};
use serde::Serializer;

/// Serialises a secret as `***`, and as nothing where there is none: for `#[serde(serialize_with = "kernel::masked")]`. A
/// configuration is shown and compared; its secrets are neither.
pub fn masked<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(if secret.expose_secret().is_empty() { "" } else { "***" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_whether_there_is_one_and_no_more() {
        let shown = |secret: &str| masked(&secret.into(), serde_json::value::Serializer).unwrap();
        assert_eq!(shown("hunter2"), "***");
        assert_eq!(shown(""), "");
    }
}
