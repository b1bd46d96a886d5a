//! PostgreSQL over TLS: encrypted where asked, refused where the other side is not who it should be.

use std::path::Path;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use vigie::store::{Address, Db, OpenError, Settings, Store, StoreError};

use crate::support::app::TestApp;
use crate::support::child::in_own_process;
use crate::support::postgres::{Options, PrivateCluster};

fn open(url: &str) -> Result<Store, OpenError> {
    let address = Address::parse(url).unwrap();
    Store::open(Settings { address, pool_size: 1, wait: Duration::from_secs(2) })
}

fn trusting(url: &str, mode: &str, root: &Path) -> String {
    format!("{url}?sslmode={mode}&sslrootcert={}", root.display())
}

/// The same server at the same address, under a name that its certificate does not have.
fn by_another_name(url: &str) -> String {
    format!("{}?hostaddr=127.0.0.1", url.replace("127.0.0.1", "elsewhere.test"))
}

/// Fails where the connection is not encrypted.
async fn is_encrypted(store: &Store) -> bool {
    let asked = store.read(|db| {
        let Db::Postgres(connection) = db else { unreachable!("PostgreSQL was asked for") };
        let question = "DO $$ BEGIN ASSERT (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()); END $$";
        Ok::<_, StoreError>(connection.batch_execute(question)?)
    });
    asked.await.is_ok()
}

#[actix_web::test]
async fn the_application_works_over_tls() {
    let cluster = PrivateCluster::launch(Options { tls: true, ..Options::default() });
    let url = trusting(cluster.url(), "verify-full", &cluster.certificates().root);
    let app = TestApp::start_at(&url, &[]).await;
    let alice = app.signed_in("alice").await;
    alice.get("/auth/me").await.expect(200);
    alice.post_empty("/auth/logout").await.expect(204);
    alice.get("/auth/me").await.problem(401, "session_ended");
    assert!(is_encrypted(&app.app.store).await);
}

#[actix_web::test]
async fn encryption_may_be_asked_for_with_or_without_knowing_the_server() {
    let cluster = PrivateCluster::launch(Options { tls: true, ..Options::default() });
    let named = cluster.url().replace("127.0.0.1", "localhost");
    let certificates = cluster.certificates();
    for url in [
        format!("{}?sslmode=require", cluster.url()),
        trusting(cluster.url(), "verify-ca", &certificates.root),
        trusting(cluster.url(), "verify-full", &certificates.root),
        trusting(&named, "verify-full", &certificates.root),
    ] {
        assert!(is_encrypted(&open(&url).unwrap()).await, "{url}");
    }
    // A server that takes no TLS is refused where TLS was asked for.
    let plain = PrivateCluster::launch(Options::default());
    let error = open(&format!("{}?sslmode=require", plain.url())).unwrap_err().to_string();
    assert!(error.contains("does not support SSL"), "{error}");
}

#[actix_web::test]
async fn a_server_that_cannot_prove_its_name_is_refused() {
    let cluster = PrivateCluster::launch(Options { tls: true, ..Options::default() });
    let certificates = cluster.certificates();
    let astray = by_another_name(cluster.url());
    for (url, reason) in [
        (trusting(cluster.url(), "verify-full", &certificates.stranger), "certificate verify failed"),
        (trusting(cluster.url(), "verify-ca", &certificates.stranger), "certificate verify failed"),
        // As with any libpq, a root that is given is looked at also where only encryption is asked for.
        (trusting(cluster.url(), "require", &certificates.stranger), "certificate verify failed"),
        (
            format!("{astray}&sslmode=verify-full&sslrootcert={}", certificates.root.display()),
            "does not match host name",
        ),
        (format!("{}?sslmode=disable", cluster.url()), "no encryption"),
    ] {
        let error = open(&url).unwrap_err().to_string();
        assert!(error.contains(reason), "{url}: {error}");
    }
}

/// A hosted server has a certificate of a public authority; which ones the machine trusts, it says itself.
#[actix_web::test]
async fn a_hosted_server_is_known_by_the_certificates_of_the_machine() {
    let asked = |name| std::env::var(name).expect("the parent has set it");
    let (url, trusted) = ("VIGIE_TEST_HOSTED", "VIGIE_TEST_TRUSTED");
    if std::env::var_os(url).is_none() {
        let cluster = PrivateCluster::launch(Options { tls: true, ..Options::default() });
        let certificates = cluster.certificates();
        for (root, is_trusted) in [(&certificates.root, "yes"), (&certificates.stranger, "no")] {
            let root = root.to_str().expect("a path in UTF-8");
            let environment = [("SSL_CERT_FILE", root), (url, cluster.url()), (trusted, is_trusted)];
            assert!(!in_own_process(&[], &environment));
        }
        return;
    }
    // Whatever else is said: who trusts every authority of the machine must look at the name.
    for mode in ["sslmode=verify-full&", "sslmode=require&", ""] {
        let astray = open(&format!("{}&{mode}sslrootcert=system", by_another_name(&asked(url))));
        assert!(astray.is_err_and(|error| error.to_string().contains("certificate")), "{mode}");
        let opened = open(&format!("{}?{mode}sslrootcert=system", asked(url)));
        match (asked(trusted).as_str(), opened) {
            ("yes", opened) => assert!(is_encrypted(&opened.unwrap()).await, "{mode}"),
            (_, opened) => {
                let error = opened.unwrap_err().to_string();
                assert!(error.contains("certificate verify failed"), "{mode}: {error}");
            }
        }
    }
}
