//! Certificates made for a test: an authority, servers and clients that it signs.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::fmt;
use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Signs certificates. Lives as long as a test.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key, as PEM.
#[derive(Clone)]
pub struct Certificate {
    pub certificate_pem: String,
    pub key_pem: String,
}

/// TLS of a server.
#[derive(Clone)]
pub struct ServerTls(Arc<ServerConfig>);

impl Authority {
    /// # Panics
    /// There is no randomness.
    pub fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are good names");
        // Verifiers look for an issuer by its name: authorities of one test must not share theirs.
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("test authority {}", COUNT.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("there is randomness");
        Authority { issuer: CertifiedIssuer::self_signed(params, key).expect("a new key can sign") }
    }

    pub fn certificate_pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for a server or client of this name or address, good until 2069.
    pub fn sign(&self, name: &str) -> Certificate {
        self.sign_until(name, time::OffsetDateTime::UNIX_EPOCH + time::Duration::days(100 * 365))
    }

    /// One whose time was over in 2000.
    pub fn sign_expired(&self, name: &str) -> Certificate {
        self.sign_until(name, time::OffsetDateTime::UNIX_EPOCH + time::Duration::days(31 * 365))
    }

    fn sign_until(&self, name: &str, end: time::OffsetDateTime) -> Certificate {
        let mut params =
            CertificateParams::new(vec![name.to_owned()]).expect("the name can be in a certificate");
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = time::OffsetDateTime::UNIX_EPOCH;
        params.not_after = end;
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("there is randomness");
        let signed = params.signed_by(&key, &self.issuer).expect("the authority can sign");
        Certificate { certificate_pem: signed.pem(), key_pem: key.serialize_pem() }
    }
}

impl Default for Authority {
    fn default() -> Authority {
        Authority::new()
    }
}

impl ServerTls {
    /// A server that shows this certificate.
    pub fn new(certificate: &Certificate) -> ServerTls {
        ServerTls::build(certificate, None)
    }

    /// A server that wants a certificate of this authority from its clients.
    pub fn with_clients_of(certificate: &Certificate, clients: &Authority) -> ServerTls {
        ServerTls::build(certificate, Some(clients))
    }

    fn build(certificate: &Certificate, clients: Option<&Authority>) -> ServerTls {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring has what TLS 1.2 and 1.3 need");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.issuer.der().clone()).expect("the authority is one");
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.expect("there is a root"))
            }
        };
        let chain = CertificateDer::pem_slice_iter(certificate.certificate_pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .expect("the PEM is ours");
        let key = PrivateKeyDer::from_pem_slice(certificate.key_pem.as_bytes()).expect("the PEM is ours");
        ServerTls(Arc::new(builder.with_single_cert(chain, key).expect("key and certificate go together")))
    }

    pub(crate) fn accept(&self, tcp: TcpStream) -> io::Result<StreamOwned<ServerConnection, TcpStream>> {
        let connection = ServerConnection::new(Arc::clone(&self.0)).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, tcp);
        let handshake = stream.conn.complete_io(&mut stream.sock);
        // An alert that says what is wrong may wait to be written.
        let _ = stream.conn.write_tls(&mut stream.sock);
        handshake.map(|_| stream)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority")
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate")
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}
