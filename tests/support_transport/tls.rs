//! Certificates and the TLS half of the scripted server.

use super::{Channel, Peer, Server};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
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
        let names: Vec<String> = names.iter().map(|name| (*name).to_string()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        edit(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap())
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

pub fn wrap(config: &Arc<ServerConfig>, socket: TcpStream) -> Box<dyn Channel> {
    Box::new(StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), socket))
}

/// A TLS server with a certificate for `localhost` and `127.0.0.1`.
pub fn server(authority: &Authority, script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Server {
    let config = authority.server_config(&["localhost", "127.0.0.1"], |_| {});
    Server::start_with(move |socket| wrap(&config, socket), script)
}
