//! A certificate authority that lives as long as the server, and the certificates of its origins.
//!
//! Owns PEM texts and rustls configurations. Keys are made anew each time: nothing here is worth stealing.

use super::scenario::OriginKind;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::sync::Arc;

/// Names that an `https` origin is good for, besides the loopback addresses.
pub const NAMES: [&str; 5] = ["localhost", "127.0.0.1", "::1", "shop.example", "other.example"];

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pub ca_pem: String,
    pub client_cert_pem: String,
    pub client_key_pem: String,
}

impl Authority {
    pub fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "libx402 test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (der, ca_pem) = (certificate.der().clone(), certificate.pem());
        let issuer = Issuer::new(params, key);

        let client_key = KeyPair::generate().unwrap();
        let mut client = CertificateParams::new(vec!["client.example".to_string()]).unwrap();
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let client_cert_pem = client.signed_by(&client_key, &issuer).unwrap().pem();
        Authority { issuer, der, ca_pem, client_cert_pem, client_key_pem: client_key.serialize_pem() }
    }

    /// What an origin of this kind speaks TLS with; nothing for those that do not.
    pub fn server_config(&self, kind: OriginKind) -> Option<Arc<ServerConfig>> {
        if !kind.is_tls() {
            return None;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
        let builder = if kind == OriginKind::HttpsClientCertificate {
            let mut roots = RootCertStore::empty();
            roots.add(self.der.clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let (chain, key) = self.leaf(kind);
        Some(Arc::new(builder.with_single_cert(vec![chain], key).unwrap()))
    }

    fn leaf(&self, kind: OriginKind) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let names: Vec<String> = match kind {
            OriginKind::HttpsWrongName => vec!["elsewhere.example".into()],
            _ => NAMES.map(String::from).to_vec(),
        };
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        if kind == OriginKind::HttpsExpired {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        }
        let certificate = match kind {
            OriginKind::HttpsUntrusted => params.self_signed(&key).unwrap(),
            _ => params.signed_by(&key, &self.issuer).unwrap(),
        };
        (certificate.der().clone(), PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())))
    }
}
