//! TLS settings: whom they make a client trust, who it says it is, and what each mistake in them is called.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use x402::error::Status;
use x402::transport::tls::{TlsSettings, TlsVersion, client_config};

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate signed by an [`Authority`], and its key.
struct Signed {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Authority { issuer }
    }

    fn sign(&self, name: &str) -> Signed {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_string()]).unwrap();
        Signed { certificate: params.signed_by(&key, &self.issuer).unwrap(), key }
    }

    fn pem(&self) -> String {
        self.issuer.pem()
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        Arc::new(roots)
    }
}

/// A folder of files that the settings name.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Files {
        Files(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

fn server(
    authority: &Authority,
    wants_client: bool,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions).unwrap();
    let builder = if wants_client {
        let verifier = WebPkiClientVerifier::builder_with_provider(authority.roots(), provider).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let signed = authority.sign("localhost");
    let key = PrivateKeyDer::try_from(signed.key.serialize_der()).unwrap();
    builder.with_single_cert(vec![signed.certificate.der().clone()], key).unwrap()
}

/// What a finished handshake showed.
struct Met {
    version: rustls::ProtocolVersion,
    client_certificates: Vec<CertificateDer<'static>>,
}

/// A whole handshake in memory. The error is the client's or the server's, whoever objected first.
fn handshake(settings: &TlsSettings, server: ServerConfig) -> Result<Met, rustls::Error> {
    let config = client_config(settings).unwrap();
    assert_eq!(config.alpn_protocols, [b"http/1.1".to_vec()]);
    let mut client = ClientConnection::new(config, ServerName::try_from("localhost").unwrap()).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    for _ in 0..10 {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut wire = &wire[..];
        while !wire.is_empty() {
            server.read_tls(&mut wire).unwrap();
            server.process_new_packets()?;
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut wire = &wire[..];
        while !wire.is_empty() {
            client.read_tls(&mut wire).unwrap();
            client.process_new_packets()?;
        }
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(Met {
        version: client.protocol_version().unwrap(),
        client_certificates: server.peer_certificates().unwrap_or(&[]).to_vec(),
    })
}

const BOTH: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12, &rustls::version::TLS13];
const ONLY_12: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];

#[test]
fn an_own_authority_is_trusted_beside_the_others_or_alone() {
    let (files, authority) = (Files::new(), Authority::new());
    let ca_file = Some(files.write("ca.pem", &authority.pem()));
    for ca_builtin in [true, false] {
        let settings = TlsSettings { ca_file: ca_file.clone(), ca_builtin, ..TlsSettings::default() };
        let met = handshake(&settings, server(&authority, false, BOTH)).unwrap();
        assert_eq!(met.version, rustls::ProtocolVersion::TLSv1_3);
        assert!(met.client_certificates.is_empty());
    }
    let stranger = handshake(&TlsSettings::default(), server(&authority, false, BOTH)).err().unwrap();
    assert!(matches!(stranger, rustls::Error::InvalidCertificate(_)), "{stranger}");
    let several = files.write("several.pem", &format!("comment\n{}\n{}", Authority::new().pem(), authority.pem()));
    let settings = TlsSettings { ca_file: Some(several), ..TlsSettings::default() };
    assert!(handshake(&settings, server(&authority, false, BOTH)).is_ok());
}

#[test]
fn the_oldest_version_is_kept_to() {
    let (files, authority) = (Files::new(), Authority::new());
    let ca_file = Some(files.write("ca.pem", &authority.pem()));
    let mut settings = TlsSettings { ca_file, ..TlsSettings::default() };
    let met = handshake(&settings, server(&authority, false, ONLY_12)).unwrap();
    assert_eq!(met.version, rustls::ProtocolVersion::TLSv1_2);
    settings.min_version = TlsVersion::Tls13;
    assert!(handshake(&settings, server(&authority, false, ONLY_12)).is_err());
}

#[test]
fn a_client_certificate_is_shown() {
    let (files, authority) = (Files::new(), Authority::new());
    let signed = authority.sign("client");
    let certificate = files.write("client.pem", &signed.certificate.pem());
    let key = files.write("client.key", &signed.key.serialize_pem());
    let both = files.write("both.pem", &format!("{}{}", signed.key.serialize_pem(), signed.certificate.pem()));
    let mut settings = TlsSettings {
        ca_file: Some(files.write("ca.pem", &authority.pem())),
        client_cert_file: Some(certificate),
        client_key_file: Some(key),
        ..TlsSettings::default()
    };
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        settings.min_version = version;
        let met = handshake(&settings, server(&authority, true, BOTH)).unwrap();
        assert_eq!(met.client_certificates, [signed.certificate.der().clone()]);
    }
    (settings.client_cert_file, settings.client_key_file) = (Some(both), None);
    let met = handshake(&settings, server(&authority, true, BOTH)).unwrap();
    assert_eq!(met.client_certificates, [signed.certificate.der().clone()], "certificate and key from one file");
    settings.client_cert_file = None;
    assert!(handshake(&settings, server(&authority, true, BOTH)).is_err(), "the server wants a certificate");
}

fn assert_refused(settings: &TlsSettings, parts: &[&str]) {
    let error = client_config(settings).err().unwrap_or_else(|| panic!("accepted: {settings:?}"));
    assert_eq!(error.status, Status::Setting, "{error}");
    for part in parts {
        assert!(error.message.contains(part), "`{part}` is not in: {error}");
    }
    let shown = format!("{error:?}");
    for secret in ["MIGH", "MC4C", "s3cret", "[77, 73"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

fn with_ca(path: impl AsRef<Path>) -> TlsSettings {
    TlsSettings { ca_file: Some(path.as_ref().to_path_buf()), ..TlsSettings::default() }
}

#[test]
fn mistakes_in_what_to_trust() {
    let files = Files::new();
    let good = Authority::new().pem();
    let none = TlsSettings { ca_builtin: false, ..TlsSettings::default() };
    assert_refused(&none, &["ca_builtin", "ca_system", "ca_file"]);
    assert_refused(&with_ca("/nonexistent/ca.pem"), &["ca_file /nonexistent/ca.pem", "No such file"]);
    assert_refused(&with_ca("/tmp"), &["ca_file /tmp", "cannot be read"]);
    assert_refused(&with_ca("/dev/zero"), &["ca_file /dev/zero", "bytes"]);
    assert_refused(&with_ca(files.write("empty.pem", "")), &["empty.pem", "no certificate", "PEM"]);
    assert_refused(&with_ca(files.write("der.pem", "\u{30}\u{3}\u{1}binary")), &["der.pem", "no certificate"]);
    let not_x509 = "-----BEGIN CERTIFICATE-----\nczNjcmV0\n-----END CERTIFICATE-----\n";
    let mixed = files.write("mixed.pem", &format!("{good}{not_x509}{good}{not_x509}"));
    assert_refused(&with_ca(mixed), &["mixed.pem", "2 unusable", "certificate 2", "certificate 4"]);
    let many = files.write("many.pem", &not_x509.repeat(9));
    assert_refused(&with_ca(many), &["9 unusable", "certificate 5", "and 4 more"]);
    let cut = files.write("cut.pem", &good[..good.len() / 2]);
    assert_refused(&with_ca(cut), &["cut.pem", "certificate 1", "no END line"]);
    let not_base64 = files.write("text.pem", &not_x509.replace("czNj", "s3c*"));
    assert_refused(&with_ca(not_base64), &["text.pem", "not base64"]);
}

#[test]
fn mistakes_in_who_we_are() {
    let (files, authority) = (Files::new(), Authority::new());
    let (one, other) = (authority.sign("one"), authority.sign("other"));
    let certificate = files.write("one.pem", &one.certificate.pem());
    let key = files.write("one.key", &one.key.serialize_pem());
    let client = |certificate: Option<&Path>, key: Option<&Path>| TlsSettings {
        client_cert_file: certificate.map(Path::to_path_buf),
        client_key_file: key.map(Path::to_path_buf),
        ..TlsSettings::default()
    };
    assert!(client_config(&client(Some(&certificate), Some(&key))).is_ok());
    assert_refused(&client(None, Some(&key)), &["one.key", "client_cert_file is not set"]);
    assert_refused(&client(Some(&certificate), None), &["client_key_file is not set", "one.pem", "no private key"]);
    let missing = Path::new("/nonexistent/client.key");
    assert_refused(&client(Some(&certificate), Some(missing)), &["client_key_file /nonexistent/client.key", "No such"]);
    assert_refused(&client(Some(missing), Some(&key)), &["client_cert_file /nonexistent/client.key", "No such"]);
    assert_refused(&client(Some(&key), Some(&key)), &["client_cert_file", "one.key", "no certificate"]);
    let foreign = files.write("other.key", &other.key.serialize_pem());
    assert_refused(&client(Some(&certificate), Some(&foreign)), &["one.pem", "other.key", "does not belong"]);
    let pkcs8 = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nczNjcmV0\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let legacy = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nczNjcmV0\n\
                  -----END EC PRIVATE KEY-----\n";
    for encrypted in [pkcs8, legacy] {
        let encrypted = files.write("locked.key", encrypted);
        assert_refused(&client(Some(&certificate), Some(&encrypted)), &["locked.key", "encrypted", "openssl pkey"]);
    }
    let nonsense = pkcs8.replace("ENCRYPTED ", "");
    let nonsense = files.write("nonsense.key", &nonsense);
    assert_refused(&client(Some(&certificate), Some(&nonsense)), &["one.pem", "nonsense.key", "cannot be used"]);
    let pem = one.key.serialize_pem();
    let cut = files.write("cut.key", &pem[..pem.len() / 2]);
    assert_refused(&client(Some(&certificate), Some(&cut)), &["cut.key", "damaged"]);
}

/// Reads what the machine has: where it has no store at all, that is an error with advice and not an empty trust.
#[test]
fn the_systems_store_is_read_when_asked() {
    let settings = TlsSettings { ca_builtin: false, ca_system: true, ..TlsSettings::default() };
    let loaded = rustls_native_certs::load_native_certs();
    match client_config(&settings) {
        Ok(_) => assert!(!loaded.certs.is_empty()),
        Err(error) => {
            assert!(loaded.certs.is_empty());
            assert_eq!(error.status, Status::Setting);
            assert!(error.message.contains("ca_system") && error.message.contains("ca_file"), "{error}");
        }
    }
}

#[test]
fn the_process_has_no_default_provider_afterwards() {
    client_config(&TlsSettings::default()).unwrap();
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());
}
