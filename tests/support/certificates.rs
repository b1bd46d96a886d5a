//! Certificates of servers that tests start, and of the authorities that sign them.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Files in a directory, beside the server's own `server.crt` and `server.key`, where `postgres.sh` looks for them.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// The authority that signed the server's certificate, which is for 127.0.0.1 and localhost unless other names are given.
    pub root: PathBuf,
    /// Another authority: a client that trusts it alone must refuse the server.
    pub stranger: PathBuf,
}

impl Certificates {
    /// Makes and writes them.
    pub fn write(directory: &Path) -> Self {
        Self::write_for(directory, &["localhost", "127.0.0.1"])
    }

    /// The same for a server of other names.
    pub fn write_for(directory: &Path, names: &[&str]) -> Self {
        let (root_pem, issuer) = authority("Root of a test");
        let (stranger_pem, _) = authority("Somebody else");
        let key = KeyPair::generate().expect("random bytes can be had");
        let mut params = CertificateParams::new(names.iter().map(|name| (*name).into()).collect::<Vec<String>>())
            .expect("the names are valid");
        params.distinguished_name.push(DnType::CommonName, "Server of a test");
        let server = params.signed_by(&key, &issuer).expect("the authority may sign");
        write_private(&directory.join("server.key"), &key.serialize_pem());
        write_private(&directory.join("server.crt"), &server.pem());

        let certificates = Self { root: directory.join("root.crt"), stranger: directory.join("stranger.crt") };
        write_private(&certificates.root, &root_pem);
        write_private(&certificates.stranger, &stranger_pem);
        certificates
    }
}

/// Takes TLS connections with the server's certificate in a directory.
pub fn acceptor(directory: &Path) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(directory.join("server.crt")).expect("it was written");
    let key = PrivateKeyDer::from_pem_file(directory.join("server.key")).expect("it was written");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(vec![certificate], key));
    TlsAcceptor::from(Arc::new(config.expect("the key fits the certificate")))
}

/// Speaks TLS with servers whose certificates an authority signed.
pub fn connector(root: &Path) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(root).expect("it was written")).expect("an authority");
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map(|config| config.with_root_certificates(roots).with_no_client_auth());
    TlsConnector::from(Arc::new(config.expect("the versions are known")))
}

fn authority(name: &str) -> (String, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().expect("random bytes can be had");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, name);
    let certificate = params.self_signed(&key).expect("an authority may sign itself");
    (certificate.pem(), Issuer::new(params, key))
}

/// Writes a file for its owner alone.
pub fn write_private(path: &Path, content: &str) {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(content.as_bytes())).expect("the directory is writable");
}
