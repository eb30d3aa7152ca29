//! Whom we trust and what we show: the certificate authorities of the system or of a file, and a client certificate.
//!
//! Files are read once, when a client is made. What cannot be used is an error then, not at the first handshake.

use crate::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, parse_pem};

/// TLS of connections to servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// PEM file of the authorities that sign servers, in place of the system's.
    pub ca_file: Option<PathBuf>,
    pub client_certificate: Option<ClientCertificate>,
}

/// What we prove ourselves with to a server that asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// PEM file: our certificate, then those between it and the authority.
    pub certificate_file: PathBuf,
    /// PEM file: the private key, PKCS#8, PKCS#1 or SEC1, not encrypted.
    pub key_file: PathBuf,
}

/// Where distributions keep the bundle of authorities, most common first: Debian and Arch and Alpine, Fedora and
/// RHEL, openSUSE, older RHEL.
const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
];

/// The bundle can be elsewhere: OpenSSL's variable names it.
const BUNDLE_VARIABLE: &str = "SSL_CERT_FILE";

const PEM_BYTES_MAX: u64 = 8 << 20;

/// Reads the files of `config`.
pub(crate) fn load(config: &TlsConfig) -> Result<ureq::tls::TlsConfig, Error> {
    let roots = match &config.ca_file {
        Some(path) => authorities(path)?,
        None => authorities(&system_bundle()?)?,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = match &config.client_certificate {
        Some(files) => Some(client_certificate(files, Arc::clone(&provider))?),
        None => None,
    };
    Ok(ureq::tls::TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .client_cert(client)
        .unversioned_rustls_crypto_provider(provider)
        .build())
}

fn system_bundle() -> Result<PathBuf, Error> {
    if let Some(path) = std::env::var_os(BUNDLE_VARIABLE) {
        return Ok(path.into());
    }
    let bundle = SYSTEM_BUNDLES.iter().map(Path::new).find(|path| path.exists());
    bundle.map(Path::to_owned).ok_or_else(|| Error::Certificate {
        what: format!(
            "this system has no certificate authorities in any of {}: install ca-certificates or name a CA file",
            SYSTEM_BUNDLES.join(", ")
        ),
    })
}

fn authorities(path: &Path) -> Result<Vec<Certificate<'static>>, Error> {
    let found = certificates(path)?;
    // A system's bundle may hold a few that our verifier does not read; a file without any usable one is a mistake.
    let mut store = rustls::RootCertStore::empty();
    let der = found.iter().map(|certificate| rustls::pki_types::CertificateDer::from(certificate.der()));
    let (usable, _) = store.add_parsable_certificates(der);
    if usable == 0 {
        return Err(Error::Certificate {
            what: format!("{} holds no certificate authority", path.display()),
        });
    }
    Ok(found)
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, Error> {
    let pem = read_pem(path)?;
    let mut found = Vec::new();
    for item in parse_pem(&pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => found.push(certificate),
            Ok(_) => {}
            Err(_) => return Err(Error::Certificate { what: format!("{} is damaged PEM", path.display()) }),
        }
    }
    Ok(found)
}

fn client_certificate(
    files: &ClientCertificate,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<ClientCert, Error> {
    let chain = certificates(&files.certificate_file)?;
    let key_pem = zeroize::Zeroizing::new(read_pem(&files.key_file)?);
    let key = PrivateKey::from_pem(&key_pem).map_err(|_| Error::Certificate {
        what: format!("{} holds no private key that is not encrypted", files.key_file.display()),
    })?;
    check_pair(&chain, &key_pem, provider).map_err(|error| Error::Certificate {
        what: format!(
            "{} and {} do not go together: {error}",
            files.certificate_file.display(),
            files.key_file.display()
        ),
    })?;
    Ok(ClientCert::new_with_certs(&chain, key))
}

/// ureq takes for granted that rustls will accept the pair, so rustls is asked before.
fn check_pair(
    chain: &[Certificate<'static>],
    key_pem: &[u8],
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<(), rustls::Error> {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
    let chain =
        chain.iter().map(|certificate| CertificateDer::from(certificate.der()).into_owned()).collect();
    let key = PrivateKeyDer::from_pem_slice(key_pem)
        .map_err(|error| rustls::Error::General(format!("no private key ({error})")))?;
    rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::ALL_VERSIONS)?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_client_auth_cert(chain, key)
        .map(|_| ())
}

fn read_pem(path: &Path) -> Result<Vec<u8>, Error> {
    let read = || -> io::Result<Vec<u8>> {
        if fs::metadata(path)?.len() > PEM_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is larger than 8 MiB"));
        }
        fs::read(path)
    };
    read().map_err(|source| Error::io(format!("read {}", path.display()), source))
}

/// Words for why a handshake failed.
pub(crate) fn describe(error: &rustls::Error) -> String {
    use rustls::{AlertDescription as Alert, CertificateError, Error as Tls};
    match error {
        Tls::InvalidCertificate(why) => match why {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "no authority that we trust signed the server's certificate".into()
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server's certificate has expired, or the clock of this machine is wrong".into()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet, or the clock of this machine is wrong".into()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the server's certificate is for another name".into()
            }
            CertificateError::Revoked => "the server's certificate is revoked".into(),
            other => format!("the server's certificate cannot be used: {other}"),
        },
        Tls::AlertReceived(Alert::CertificateRequired) => "the server wants a client certificate".into(),
        Tls::AlertReceived(
            Alert::BadCertificate
            | Alert::UnknownCA
            | Alert::CertificateExpired
            | Alert::CertificateRevoked
            | Alert::CertificateUnknown
            | Alert::AccessDenied,
        ) => format!("the server does not take our client certificate ({error})"),
        Tls::InvalidMessage(_) => "the server does not speak TLS on this port".into(),
        other => other.to_string(),
    }
}
