//! Whom encrypted connections trust.

use std::sync::Arc;

use kernel::{Failure, Result};
use pulsar::{PulsarBuilder, TokioExecutor};
use reqwest::ClientBuilder;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::either::Either;

use super::site::away;
use crate::PulsarConfig;

/// A connection to a broker, as it is or encrypted.
pub(crate) type Wire = Either<TcpStream, TlsStream<TcpStream>>;

/// The public authorities, which the client library has built in, and those of `bus.pulsar.tls_roots`.
pub(crate) struct Trust {
    /// The file, where there is one.
    file: Option<Vec<u8>>,
    connector: TlsConnector,
}

impl Trust {
    /// `request.invalid` where the file cannot be used.
    pub(crate) fn new(config: &PulsarConfig) -> Result<Self> {
        let unusable = |error: &dyn std::fmt::Display| {
            Failure::invalid("bus.pulsar.tls_roots", format!("{}: {error}", config.tls_roots))
        };
        let mut roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
        let mut file = None;
        if !config.tls_roots.is_empty() {
            let public = roots.len();
            let pem = std::fs::read(&config.tls_roots).map_err(|error| unusable(&error))?;
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                let certificate = certificate.map_err(|error| unusable(&error))?;
                roots.add(certificate).map_err(|error| unusable(&error))?;
            }
            if roots.len() == public {
                return Err(unusable(&"has no certificate"));
            }
            file = Some(pem);
        }
        let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Failure::internal(format!("TLS cannot be used: {error}")))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { file, connector: Arc::new(client).into() })
    }

    /// Encrypts the connection to `host`.
    pub(crate) async fn encrypt(&self, host: &str, socket: TcpStream) -> Result<Wire> {
        let name = ServerName::try_from(host.to_owned()).map_err(away)?;
        self.connector.connect(name, socket).await.map(Either::Right).map_err(away)
    }

    /// For the client library.
    pub(crate) fn of_library(&self, builder: PulsarBuilder<TokioExecutor>) -> PulsarBuilder<TokioExecutor> {
        match &self.file {
            Some(pem) => builder.with_certificate_chain(pem.clone()),
            None => builder,
        }
    }

    /// For the admin API.
    pub(crate) fn of_admin(&self, builder: ClientBuilder) -> Result<ClientBuilder> {
        let Some(pem) = &self.file else { return Ok(builder) };
        let certificates = reqwest::Certificate::from_pem_bundle(pem).map_err(Failure::internal)?;
        Ok(builder.tls_certs_merge(certificates))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_no_reason_to_trust() {
        assert!(Trust::new(&PulsarConfig::default()).is_ok());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("roots.pem");
        let config = PulsarConfig { tls_roots: file.to_str().unwrap().to_owned(), ..PulsarConfig::default() };
        for text in [None, Some("no certificate")] {
            if let Some(text) = text {
                std::fs::write(&file, text).unwrap();
            }
            let failure = Trust::new(&config).err().unwrap();
            assert_eq!(failure.fields()[0].pointer, "bus.pulsar.tls_roots");
        }
    }
}
