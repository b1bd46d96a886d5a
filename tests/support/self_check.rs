//! The ground of the other tests is itself tested: what is meant to be separate is, what is meant to break does.

use std::net::TcpStream;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::sql_types::{BigInt, Text};
use diesel::{Connection as _, IntoSql as _, PgConnection, QueryableByName, RunQueryDsl as _, SqliteConnection};
use rstest::rstest;
use serde_json::json;
use vigie::model::audit::{AuditContext, AuditEvent, Details, Subject, SubjectKind};
use vigie::store::audit;

use super::app::TestApp;
use super::backend::Backend::{self, Postgres, Sqlite};
use super::events::faults;
use super::postgres::{Cluster, Options, PrivateCluster, execute};
use super::proxy::Proxy;

#[derive(QueryableByName)]
struct Setting {
    #[diesel(sql_type = Text)]
    value: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn setting(connection: &mut PgConnection, name: &str) -> String {
    let query = format!("SELECT current_setting('{name}') AS value");
    diesel::sql_query(query).get_result::<Setting>(connection).expect("a known setting").value
}

fn answers(connection: &mut PgConnection) -> bool {
    diesel::select(1.into_sql::<diesel::sql_types::Integer>()).get_result::<i32>(connection) == Ok(1)
}

#[rstest]
#[actix_web::test]
async fn two_databases_do_not_see_each_other(#[values(Sqlite, Postgres)] backend: Backend) {
    let (first, second) = (backend.database(), backend.database());
    let create = |url: &str| match backend {
        Sqlite => SqliteConnection::establish(url.trim_start_matches("sqlite:"))
            .unwrap()
            .batch_execute("CREATE TABLE note (text TEXT)"),
        Postgres => execute(url, "CREATE TABLE note (text TEXT)"),
    };
    create(&first.url).unwrap();
    assert!(create(&first.url).is_err(), "the table is kept");
    create(&second.url).unwrap();
}

#[test]
fn a_schema_is_dropped_with_its_guard() {
    let schema = Cluster::shared().schema();
    execute(&schema.url, "CREATE TABLE note (text TEXT)").unwrap();
    let query = format!("SELECT count(*) FROM information_schema.schemata WHERE schema_name = '{}'", schema.name);
    let mut connection = PgConnection::establish(Cluster::shared().url()).unwrap();
    let mut count = || diesel::sql_query(&query).get_result::<Count>(&mut connection).unwrap().count;
    assert_eq!(count(), 1);
    drop(schema);
    assert_eq!(count(), 0);
}

/// An event with a member that its kind does not have, and one about what such events are not about.
#[rstest]
#[actix_web::test]
async fn an_event_that_is_none_of_its_kind_is_found(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.signed_in("alice").await;
    assert_eq!(faults(&app.database.url), [""; 0]);
    let (context, key) = (AuditContext::command_line(), Subject::new(SubjectKind::Key, "a-key"));
    let rotated = AuditEvent::new(app.now(), Details::KeyRotated {}, &context, key);
    let foreign = [
        AuditEvent { details: json!({ "purpose": "a file" }), ..rotated.clone() },
        AuditEvent { subject: Subject::everybody(), ..rotated.clone() },
        rotated,
    ];
    app.app.store.write(move |db| audit::record_all(db, &foreign)).await.unwrap();
    assert_eq!(faults(&app.database.url).len(), 2);
    app.database.let_foreign_events_be();
}

#[test]
fn a_commit_on_the_shared_cluster_is_as_synchronous_as_in_production() {
    let mut connection = PgConnection::establish(Cluster::shared().url()).unwrap();
    assert_eq!(setting(&mut connection, "synchronous_commit"), "on");
}

#[test]
fn a_private_cluster_keeps_its_data_over_a_restart_and_goes_with_its_guard() {
    let cluster = PrivateCluster::launch(Options { settings: &["work_mem=5MB"], ..Options::default() });
    let (url, directory) = (cluster.url().to_owned(), cluster.directory().to_owned());
    execute(&url, "CREATE TABLE note (text TEXT)").unwrap();
    let mut connection = PgConnection::establish(&url).unwrap();
    assert_eq!(setting(&mut connection, "work_mem"), "5MB");

    cluster.stop();
    assert!(!answers(&mut connection));
    assert!(PgConnection::establish(&url).is_err());
    cluster.start();
    execute(&url, "INSERT INTO note VALUES ('kept')").unwrap();
    cluster.restart();
    execute(&url, "INSERT INTO note VALUES ('kept again')").unwrap();

    drop(cluster);
    assert!(PgConnection::establish(&url).is_err());
    assert!(!directory.exists());
}

#[rstest]
#[case::by_address("127.0.0.1")]
#[case::by_name("localhost")]
fn a_cluster_with_tls_is_reached_by_tls_alone_and_only_if_its_authority_is_trusted(#[case] host: &str) {
    let cluster = PrivateCluster::launch(Options { tls: true, ..Options::default() });
    let url = cluster.url().replace("127.0.0.1", host);
    let trusting = |path: &std::path::Path| format!("{url}?sslmode=verify-full&sslrootcert={}", path.display());
    let in_clear = PgConnection::establish(&format!("{url}?sslmode=disable"));
    assert!(in_clear.is_err_and(|error| error.to_string().contains("no encryption")));
    let astray = PgConnection::establish(&trusting(&cluster.certificates().stranger));
    assert!(astray.is_err_and(|error| error.to_string().contains("certificate verify failed")));
    let mut connection = PgConnection::establish(&trusting(&cluster.certificates().root)).unwrap();
    assert_eq!(setting(&mut connection, "ssl"), "on");
}

#[test]
fn a_cut_proxy_breaks_connections_and_refuses_new_ones_until_restored() {
    let (proxy, url) = Proxy::in_front_of(Cluster::shared().url());
    let mut connection = PgConnection::establish(&url).unwrap();
    assert!(answers(&mut connection));
    proxy.cut();
    assert!(!answers(&mut connection));
    assert!(PgConnection::establish(&url).is_err());
    proxy.restore();
    assert!(answers(&mut PgConnection::establish(&url).unwrap()));
}

#[test]
fn a_stalled_proxy_answers_nothing_and_loses_nothing() {
    let (proxy, url) = Proxy::in_front_of(Cluster::shared().url());
    let mut connection = PgConnection::establish(&url).unwrap();
    proxy.stall();
    let (said, heard) = std::sync::mpsc::channel();
    let question = std::thread::spawn(move || said.send(answers(&mut connection)));
    assert!(heard.recv_timeout(Duration::from_millis(200)).is_err());
    proxy.restore();
    assert!(heard.recv_timeout(Duration::from_secs(10)).unwrap());
    question.join().unwrap().unwrap();
}

#[test]
fn a_dropped_proxy_listens_no_more() {
    let (proxy, _) = Proxy::in_front_of(Cluster::shared().url());
    let address = proxy.address();
    TcpStream::connect(address).unwrap();
    drop(proxy);
    assert!(TcpStream::connect(address).is_err());
}
