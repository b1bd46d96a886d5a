//! Whom the server at the other end is believed to be: TLS with the machine's authorities, or those of a file.

use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::regular_file;

/// TLS that believes the authorities in `file`, or those of the machine where no file is named.
pub(crate) fn client_config(file: &Path) -> Result<ClientConfig, String> {
    let roots = if file.as_os_str().is_empty() { of_the_machine()? } else { of_file(file)? };
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn of_file(file: &Path) -> Result<RootCertStore, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let mut roots = RootCertStore::empty();
    let (opened, _) = regular_file::open(file).map_err(|error| failed(&error))?;
    for certificate in CertificateDer::pem_reader_iter(BufReader::new(opened)) {
        let certificate = certificate.map_err(|error| failed(&error))?;
        roots.add(certificate).map_err(|error| failed(&error))?;
    }
    if roots.is_empty() { Err(failed(&"holds no certificate")) } else { Ok(roots) }
}

/// Machines carry some certificates that no library reads: those are left out.
fn of_the_machine() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err("this machine has no certificates of authorities".to_owned()) } else { Ok(roots) }
}
