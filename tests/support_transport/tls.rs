//! Certificates and the TLS half of the scripted server.

use super::{Channel, Peer, Server};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::NamedTempFile;
use x402::transport::tls::TlsSettings;
use x402::transport::{Settings, Transport};

pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: NamedTempFile,
}

impl Authority {
    pub fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Each a name of its own: authorities of one name would differ by their keys alone.
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("test authority {}", COUNT.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(issuer.pem().as_bytes()).unwrap();
        Authority { issuer, file }
    }

    pub fn ca_file(&self) -> &Path {
        self.file.path()
    }

    /// A server certificate for `names`, changed by `edit`.
    pub fn server_config(&self, names: &[&str], edit: impl FnOnce(&mut CertificateParams)) -> Arc<ServerConfig> {
        let (chain, key) = self.server_identity(names, edit);
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap())
    }

    /// The same for a server that wants a certificate of this authority from its clients.
    pub fn config_asking_clients(&self, names: &[&str]) -> Arc<ServerConfig> {
        let (chain, key) = self.server_identity(names, |_| {});
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.issuer.der().to_vec())).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build().unwrap();
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        Arc::new(builder.with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap())
    }

    /// A client's certificate and key in files.
    pub fn client_identity(&self) -> (NamedTempFile, NamedTempFile) {
        let mut params = CertificateParams::new(vec!["client.example".to_string()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let (mut certificate_file, mut key_file) = (NamedTempFile::new().unwrap(), NamedTempFile::new().unwrap());
        certificate_file.write_all(certificate.pem().as_bytes()).unwrap();
        key_file.write_all(key.serialize_pem().as_bytes()).unwrap();
        (certificate_file, key_file)
    }

    fn server_identity(
        &self,
        names: &[&str],
        edit: impl FnOnce(&mut CertificateParams),
    ) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_string()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        edit(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        (chain, key)
    }

    /// A transport that trusts this authority.
    pub fn transport(&self) -> Transport {
        Transport::new(self.settings()).unwrap()
    }

    pub fn settings(&self) -> Settings {
        let tls = TlsSettings { ca_file: Some(self.ca_file().to_path_buf()), ..TlsSettings::default() };
        Settings { tls, ..Settings::default() }
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

pub fn wrap(config: &Arc<ServerConfig>, socket: TcpStream) -> Box<dyn Channel> {
    Box::new(StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), socket))
}

/// A TLS server with a certificate for `localhost` and `127.0.0.1`.
pub fn server(authority: &Authority, script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Server {
    let config = authority.server_config(&["localhost", "127.0.0.1"], |_| {});
    Server::start_with(move |socket| wrap(&config, socket), script)
}
