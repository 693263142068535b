//! The TLS half of a connection's settings: whom to trust, who we are, how old a protocol may be.
//!
//! Owns the reading of certificate and key files and turns them into one `rustls::ClientConfig`. Knows no
//! sockets, hosts or requests. Trust is additive: each source that is switched on adds its roots, and none
//! takes any away. The cryptography (ring) is set on this configuration alone and never as the process's
//! default, which belongs to the program that loaded this library.

use crate::error::{Error, Status};
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Larger than any bundle of roots in use (about 250 KiB), small enough to refuse a disk image.
const PEM_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How many bad certificates of one file an error spells out; the rest are counted.
const BAD_CERTIFICATES_NAMED_MAX: usize = 5;

/// The oldest TLS version that a server may choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    #[default]
    Tls12,
    Tls13,
}

/// What a caller sets about TLS. Paths are read by [`client_config`], not before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// PEM certificates to trust in addition to the other sources.
    pub ca_file: Option<PathBuf>,
    /// Trust what the operating system trusts. `SSL_CERT_FILE` and `SSL_CERT_DIR`, where set, name that store.
    pub ca_system: bool,
    /// Trust Mozilla's roots, compiled in.
    pub ca_builtin: bool,
    /// PEM certificate chain to identify with, the client's own certificate first.
    pub client_cert_file: Option<PathBuf>,
    /// PEM private key, unencrypted. Unset: the key is looked for in `client_cert_file`.
    pub client_key_file: Option<PathBuf>,
    pub min_version: TlsVersion,
}

impl Default for TlsSettings {
    fn default() -> Self {
        TlsSettings {
            ca_file: None,
            ca_system: false,
            ca_builtin: true,
            client_cert_file: None,
            client_key_file: None,
            min_version: TlsVersion::Tls12,
        }
    }
}

/// The configuration for all connections of one client. Reads the files named in `settings`; reading the
/// system's store takes milliseconds, so build one and share it.
///
/// Every failure is [`Status::Setting`] and names the setting and the file, never a file's content.
pub fn client_config(settings: &TlsSettings) -> Result<Arc<ClientConfig>, Error> {
    static TLS13_ONLY: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
    static TLS12_UP: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
    let versions = match settings.min_version {
        TlsVersion::Tls12 => TLS12_UP,
        TlsVersion::Tls13 => TLS13_ONLY,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots(settings)?), provider.clone())
        .build()
        .map_err(|cause| setting_error(format!("the trusted certificates cannot be used: {cause}")))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|cause| setting_error(format!("tls_min cannot be met: {cause}")))?
        .with_webpki_verifier(verifier);
    let mut config = match identity(settings)? {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let files = identity.files;
            builder
                .with_client_auth_cert(identity.chain, identity.key)
                .map_err(|cause| identity_error(&files, cause))?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn roots(settings: &TlsSettings) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    if settings.ca_builtin {
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    if settings.ca_system {
        add_system_roots(&mut store)?;
    }
    if let Some(path) = &settings.ca_file {
        add_file_roots(&mut store, path)?;
    }
    if store.is_empty() {
        return Err(setting_error(
            "no certificate authority is trusted, so no https server could be: switch ca_builtin or ca_system on, \
             or set ca_file",
        ));
    }
    Ok(store)
}

/// A system's store commonly holds a few certificates that are malformed by today's rules: those are skipped.
fn add_system_roots(store: &mut RootCertStore) -> Result<(), Error> {
    let loaded = rustls_native_certs::load_native_certs();
    let (added, _) = store.add_parsable_certificates(loaded.certs);
    if added > 0 {
        return Ok(());
    }
    let why = loaded.errors.first().map_or_else(|| "its store is empty".to_string(), ToString::to_string);
    Err(setting_error(format!(
        "ca_system is on but the system offers no usable certificate ({why}): install its certificate bundle, or use \
         ca_file"
    )))
}

/// A file the caller chose is held to more than the system's: every certificate in it must be usable.
fn add_file_roots(store: &mut RootCertStore, path: &Path) -> Result<(), Error> {
    let shown = path.display();
    let pem = read_pem("ca_file", path)?;
    let (mut good, mut bad) = (0_usize, Vec::new());
    for (index, certificate) in CertificateDer::pem_slice_iter(&pem).enumerate() {
        let added = match certificate {
            Ok(der) => store.add(der).map_err(|cause| cause.to_string()),
            Err(cause) => Err(pem_reason(&cause).to_string()),
        };
        match added {
            Ok(()) => good += 1,
            Err(reason) => bad.push(format!("certificate {}: {reason}", index + 1)),
        }
    }
    if !bad.is_empty() {
        let count = bad.len();
        let hidden = count.saturating_sub(BAD_CERTIFICATES_NAMED_MAX);
        bad.truncate(BAD_CERTIFICATES_NAMED_MAX);
        let more = if hidden > 0 { format!("; and {hidden} more") } else { String::new() };
        let list = bad.join("; ");
        return Err(setting_error(format!("ca_file {shown} holds {count} unusable certificates ({list}{more})")));
    }
    if good == 0 {
        return Err(setting_error(format!(
            "ca_file {shown} holds no certificate: it must be PEM, with lines of `-----BEGIN CERTIFICATE-----`"
        )));
    }
    Ok(())
}

/// Who this client is, and the files that say so (for messages).
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    files: String,
}

fn identity(settings: &TlsSettings) -> Result<Option<Identity>, Error> {
    let Some(chain_path) = &settings.client_cert_file else {
        return match &settings.client_key_file {
            None => Ok(None),
            Some(key) => Err(setting_error(format!(
                "client_key_file is {} but client_cert_file is not set: a client certificate needs both",
                key.display()
            ))),
        };
    };
    let chain = client_chain(chain_path)?;
    let (key_setting, key_path) = match &settings.client_key_file {
        Some(path) => ("client_key_file", path),
        None => ("client_cert_file (client_key_file is not set)", chain_path),
    };
    let key = private_key(key_setting, key_path)?;
    let files = format!("client_cert_file {} and the key in {}", chain_path.display(), key_path.display());
    Ok(Some(Identity { chain, key, files }))
}

fn client_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let shown = path.display();
    let pem = read_pem("client_cert_file", path)?;
    let chain = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|cause| setting_error(format!("client_cert_file {shown} is damaged: {}", pem_reason(&cause))))?;
    if chain.is_empty() {
        return Err(setting_error(format!(
            "client_cert_file {shown} holds no certificate: it must be PEM, the client's own certificate first"
        )));
    }
    Ok(chain)
}

fn private_key(setting: &str, path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let shown = path.display();
    let pem = read_pem(setting, path)?;
    if is_encrypted(&pem) {
        return Err(setting_error(format!(
            "{setting} {shown} holds an encrypted private key: decrypt it first, for example with `openssl pkey`"
        )));
    }
    PrivateKeyDer::from_pem_slice(&pem).map_err(|cause| match cause {
        PemError::NoItemsFound => setting_error(format!(
            "{setting} {shown} holds no private key: it must be PEM, in PKCS#8, PKCS#1 or SEC1 form"
        )),
        other => setting_error(format!("{setting} {shown} is damaged: {}", pem_reason(&other))),
    })
}

/// Both ways in which an encrypted key is marked: PKCS#8's own label, and the header of older files (RFC 1421).
fn is_encrypted(pem: &[u8]) -> bool {
    [&b"BEGIN ENCRYPTED PRIVATE KEY"[..], b"Proc-Type: 4,ENCRYPTED"]
        .iter()
        .any(|mark| pem.windows(mark.len()).any(|window| window == *mark))
}

/// A whole PEM file, wiped when dropped because it may hold a key. Pipes serve too, so the bound is on what is read.
fn read_pem(setting: &str, path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let shown = path.display();
    let cannot =
        |cause: std::io::Error| setting_error(format!("{setting} {shown} cannot be read: {cause}")).with_cause(cause);
    let file = File::open(path).map_err(cannot)?;
    let length = file.metadata().map_err(cannot)?.len().min(PEM_FILE_BYTES_MAX);
    // Room for all of it at once: growing would leave unwiped copies of a key behind.
    let mut pem = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1));
    file.take(PEM_FILE_BYTES_MAX + 1).read_to_end(&mut pem).map_err(cannot)?;
    if pem.len() as u64 > PEM_FILE_BYTES_MAX {
        return Err(setting_error(format!(
            "{setting} {shown} has more than the {PEM_FILE_BYTES_MAX} bytes that a PEM file may have"
        )));
    }
    Ok(pem)
}

/// What is wrong with a PEM file, without the bytes of it that the parser's own error carries.
fn pem_reason(error: &PemError) -> &'static str {
    match error {
        PemError::MissingSectionEnd { .. } => "a section has no END line",
        PemError::IllegalSectionStart { .. } => "a BEGIN line is malformed",
        PemError::Base64Decode(_) => "a section is not base64",
        PemError::SectionTooLarge => "a section is too large",
        PemError::NoItemsFound => "nothing of the wanted kind is in it",
        _ => "it cannot be read as PEM",
    }
}

fn identity_error(files: &str, cause: rustls::Error) -> Error {
    let reason = match cause {
        rustls::Error::InconsistentKeys(_) => "the key does not belong to the certificate".to_string(),
        // The text of the others speaks of the key's form and may quote nothing of its value.
        other => other.to_string(),
    };
    setting_error(format!("{files} cannot be used together: {reason}"))
}

fn setting_error(message: impl Into<String>) -> Error {
    Error::new(Status::Setting, message)
}
