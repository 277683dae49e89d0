//! Encrypted connections.

use std::sync::Arc;

use fred::types::config::TlsConnector;
use kernel::{Failure, Result, code};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::RedisConfig;

/// Checks servers' certificates as the configuration says; none where connections are plain. `request.invalid` where its
/// file cannot be used.
pub(super) fn connector(config: &RedisConfig) -> Result<Option<TlsConnector>> {
    if !config.tls {
        return Ok(None);
    }
    if config.tls_roots.is_empty() {
        let of_system = TlsConnector::default_rustls().map_err(|error| {
            Failure::new(code::UNAVAILABLE)
                .detail("the system's certificates cannot be read")
                .because(error.to_string())
        });
        return of_system.map(Some);
    }
    let mut roots = RootCertStore::empty();
    let unusable = |error: &dyn std::fmt::Display| {
        Failure::invalid("redis.tls_roots", format!("{}: {error}", config.tls_roots))
    };
    let certificates = CertificateDer::pem_file_iter(&config.tls_roots).map_err(|error| unusable(&error))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    if roots.is_empty() {
        return Err(unusable(&"has no certificate"));
    }
    let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::internal(format!("TLS cannot be used: {error}")))?;
    Ok(Some(client.with_root_certificates(roots).with_no_client_auth().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_unless_asked_for_and_never_without_roots() {
        let config = RedisConfig::default();
        assert!(connector(&config).unwrap().is_none());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("roots.pem");
        let roots =
            RedisConfig { tls: true, tls_roots: file.to_str().unwrap().to_owned(), ..RedisConfig::default() };
        for text in [None, Some("no certificate")] {
            if let Some(text) = text {
                std::fs::write(&file, text).unwrap();
            }
            assert_eq!(connector(&roots).unwrap_err().fields()[0].pointer, "redis.tls_roots");
        }
    }
}
