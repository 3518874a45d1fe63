//! The certificates and keys of one sandbox: an authority, the server, the clients, the service account key.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, Error, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

/// The group that no authorisation is asked of. The components get it too: a start does not wait for the roles of
/// each of them, and what is tested here is not their rights.
const ADMINISTRATORS: &str = "system:masters";

/// A certificate with its key, both as PEM.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// Everything that is signed for one sandbox.
pub(crate) struct Certificates {
    /// The certificate of the authority as PEM.
    pub(crate) authority: String,
    pub(crate) admin: Identity,
    controller_manager: Identity,
    scheduler: Identity,
    kwok: Identity,
    server: Identity,
    service_account: KeyPair,
}

impl Certificates {
    pub(crate) fn make() -> Result<Self, Error> {
        let mut params = named("sandbox", None)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let client = |name| sign(named(name, Some(ADMINISTRATORS))?, ExtendedKeyUsagePurpose::ClientAuth, &authority);
        let names = ["127.0.0.1", "10.96.0.1", "localhost", "kubernetes", "kubernetes.default.svc"].map(str::to_owned);
        let mut server = CertificateParams::new(names)?;
        server.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        Ok(Self {
            admin: client("sandbox-admin")?,
            controller_manager: client("system:kube-controller-manager")?,
            scheduler: client("system:kube-scheduler")?,
            kwok: client("kwok")?,
            server: sign(server, ExtendedKeyUsagePurpose::ServerAuth, &authority)?,
            service_account: KeyPair::generate()?,
            authority: authority.pem(),
        })
    }

    /// The clients, by the name of their kubeconfig.
    pub(crate) fn identities(&self) -> [(&'static str, &Identity); 4] {
        [
            ("admin", &self.admin),
            ("controller-manager", &self.controller_manager),
            ("scheduler", &self.scheduler),
            ("kwok", &self.kwok),
        ]
    }

    /// Writes the files that the components read.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        let files = [
            ("ca.crt", &self.authority),
            ("server.crt", &self.server.certificate),
            ("server.key", &self.server.key),
            ("sa.key", &self.service_account.serialize_pem()),
            ("sa.pub", &self.service_account.public_key_pem()),
        ];
        for (name, text) in files {
            let path = folder.join(name);
            fs::write(&path, text)?;
            fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        }
        Ok(())
    }
}

fn named(name: &str, group: Option<&str>) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::new([])?;
    params.distinguished_name.push(DnType::CommonName, name);
    if let Some(group) = group {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    Ok(params)
}

fn sign(
    mut params: CertificateParams,
    usage: ExtendedKeyUsagePurpose,
    authority: &CertifiedIssuer<'_, KeyPair>,
) -> Result<Identity, Error> {
    let key = KeyPair::generate()?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    let certificate = params.signed_by(&key, authority)?;
    Ok(Identity { certificate: certificate.pem(), key: key.serialize_pem() })
}
