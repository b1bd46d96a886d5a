//! The address of a database, read strictly: where others could take a part of it for another part, it is not read at all.
//! The reasons never quote it, because it may hold a password.

use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::mask::{MASK, is_plain};
use super::setting::Text;
use crate::model::lookalike::is_unseen;

/// Where the database is. Decided once from the configured text: SQLite would take nearly any text as a file name, so
/// trying one after the other would serve an empty database during an outage.
#[derive(Debug, Clone)]
pub enum DatabaseAddress {
    /// The file of a SQLite database.
    Sqlite(PathBuf),
    /// A server, or several, by URL; it may hold the password.
    Postgres(SecretString),
}

impl DatabaseAddress {
    /// Reads `sqlite:PATH` or `postgres://…`; otherwise says why not, without quoting it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match text.strip_prefix("sqlite:") {
            Some(path) => read_path(path).map(|path| Self::Sqlite(path.into())),
            None => PostgresAddress::read(text).map(|_| Self::Postgres(text.into())),
        }
    }
}

impl Text for DatabaseAddress {
    const SHOWN: Option<fn(&str) -> String> = Some(shown);

    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(str::to_owned)
    }
}

/// Who logs in is masked, and what is not known to be harmless. Where it is not certain which part is which, all of it is.
fn shown(address: &str) -> String {
    match (DatabaseAddress::parse(address), PostgresAddress::read(address)) {
        (Ok(_), Ok(parts)) => parts.shown(),
        (Ok(_), Err(_)) => address.to_owned(),
        (Err(_), _) => {
            let scheme = ["sqlite:", "postgres://", "postgresql://"].into_iter().find(|it| address.starts_with(*it));
            format!("{}{MASK}", scheme.unwrap_or_default())
        }
    }
}

/// The parts of an address that begins with `postgres://`.
pub struct PostgresAddress<'a> {
    /// The scheme of the URL: `postgres` or `postgresql`.
    pub scheme: &'a str,
    /// A user, and a password behind a colon.
    pub login: Option<&'a str>,
    /// Each with its port; an empty one is what the client takes by itself.
    pub hosts: Vec<&'a str>,
    /// Behind the first slash.
    pub database: Option<&'a str>,
    /// Names and values of the query.
    pub parameters: Vec<(&'a str, &'a str)>,
}

/// Something that PostgreSQL's client can be told.
struct Parameter {
    name: &'static str,
    /// Whether it is known to be no secret.
    is_shown: bool,
    form: Form,
}

/// What the value of a parameter looks like, as far as that is known.
#[derive(Clone, Copy)]
enum Form {
    Any,
    Integer,
    Database,
    /// Ports with commas between them.
    Ports,
    /// Hosts without ports, with commas between them.
    Places,
    Word(&'static Words),
}

/// The words that a parameter takes, and what is said where it is given another.
struct Words {
    taken: &'static [&'static str],
    otherwise: &'static str,
}

const fn harmless(name: &'static str, form: Form) -> Parameter {
    Parameter { name, is_shown: true, form }
}

/// One that may be a password, or hold one.
const fn masked(name: &'static str, form: Form) -> Parameter {
    Parameter { name, is_shown: false, form }
}

/// All of them (libpq 18).
const PARAMETERS: &[Parameter] = &[
    harmless("application_name", Form::Any),
    masked("channel_binding", Form::Word(CHANNEL_BINDING)),
    masked("client_encoding", Form::Any),
    harmless("connect_timeout", Form::Integer),
    harmless("dbname", Form::Database),
    masked("fallback_application_name", Form::Any),
    masked("gssdelegation", Form::Any),
    harmless("gssencmode", Form::Word(GSSENCMODE)),
    masked("gsslib", Form::Any),
    harmless("host", Form::Places),
    harmless("hostaddr", Form::Places),
    harmless("keepalives", Form::Integer),
    harmless("keepalives_count", Form::Integer),
    harmless("keepalives_idle", Form::Integer),
    harmless("keepalives_interval", Form::Integer),
    masked("krbsrvname", Form::Any),
    harmless("load_balance_hosts", Form::Word(LOAD_BALANCE_HOSTS)),
    masked("max_protocol_version", Form::Any),
    masked("min_protocol_version", Form::Any),
    masked("oauth_client_id", Form::Any),
    masked("oauth_client_secret", Form::Any),
    masked("oauth_issuer", Form::Any),
    masked("oauth_scope", Form::Any),
    masked("options", Form::Any),
    masked("passfile", Form::Any),
    masked("password", Form::Any),
    harmless("port", Form::Ports),
    masked("replication", Form::Any),
    masked("require_auth", Form::Any),
    masked("requirepeer", Form::Any),
    masked("scram_client_key", Form::Any),
    masked("scram_server_key", Form::Any),
    masked("service", Form::Any),
    masked("servicefile", Form::Any),
    masked("ssl_max_protocol_version", Form::Any),
    masked("ssl_min_protocol_version", Form::Any),
    masked("sslcert", Form::Any),
    masked("sslcertmode", Form::Any),
    masked("sslcompression", Form::Any),
    masked("sslcrl", Form::Any),
    masked("sslcrldir", Form::Any),
    masked("sslkey", Form::Any),
    masked("sslkeylogfile", Form::Any),
    harmless("sslmode", Form::Word(SSLMODE)),
    harmless("sslnegotiation", Form::Word(SSLNEGOTIATION)),
    masked("sslpassword", Form::Any),
    harmless("sslrootcert", Form::Any),
    masked("sslsni", Form::Any),
    harmless("target_session_attrs", Form::Word(TARGET_SESSION_ATTRS)),
    harmless("tcp_user_timeout", Form::Integer),
    masked("user", Form::Any),
];

const SSLMODE: &Words = &Words {
    taken: &["disable", "allow", "prefer", "require", "verify-ca", "verify-full"],
    otherwise: "holds an sslmode that is none of disable, allow, prefer, require, verify-ca and verify-full",
};
const SSLNEGOTIATION: &Words =
    &Words { taken: &["postgres", "direct"], otherwise: "holds an sslnegotiation that is neither postgres nor direct" };
const GSSENCMODE: &Words = &Words {
    taken: &["disable", "prefer", "require"],
    otherwise: "holds a gssencmode that is none of disable, prefer and require",
};
const TARGET_SESSION_ATTRS: &Words = &Words {
    taken: &["any", "read-write", "read-only", "primary", "standby", "prefer-standby"],
    otherwise: "holds target_session_attrs that are none of any, read-write, read-only, primary, standby and prefer-standby",
};
const LOAD_BALANCE_HOSTS: &Words = &Words {
    taken: &["disable", "random"],
    otherwise: "holds a load_balance_hosts that is neither disable nor random",
};
const CHANNEL_BINDING: &Words = &Words {
    taken: &["disable", "prefer", "require"],
    otherwise: "holds a channel_binding that is none of disable, prefer and require",
};

const SCHEME: &str = "must begin with sqlite: or postgres://";
const BLANK: &str = "holds a blank or a control character: a blank is written %20";
const LOGIN: &str =
    "cannot be read: in a user or a password, / is written %2F, ? %3F, @ %40 and % %25; a port is a number";
const DATABASE: &str =
    "cannot be read: the name of a database holds none of ? & ; = : / # as they are; parameters follow a ?";
const MEMBER: &str = "cannot be read: what follows ? is name=value, with & between them";
const UNKNOWN: &str = "holds a parameter that PostgreSQL's client does not know: look at how each is spelt";
const TWICE: &str = "holds a parameter twice";
const VALUE: &str = "cannot be read: in the value of a parameter, @ is written %40, ? %3F, ; %3B, & %26 and = %3D";

impl<'a> PostgresAddress<'a> {
    /// Reads `postgres://…` into its parts.
    pub fn read(text: &'a str) -> Result<Self, &'static str> {
        let Some((scheme @ ("postgres" | "postgresql"), text)) = text.split_once("://") else { return Err(SCHEME) };
        if text.contains(|character: char| character.is_whitespace() || character.is_control()) {
            return Err(BLANK);
        }
        let (login, rest) = text.split_once('@').map_or((None, text), |(login, rest)| (Some(login), rest));
        let (place, query) = split(rest, '?');
        let (hosts, database) = split(place, '/');
        let hosts: Vec<&str> = hosts.split(',').collect();
        let ends_where_it_seems = !login.unwrap_or_default().contains(['/', '?']) && !rest.contains('@');
        if !ends_where_it_seems || !is_percent_encoded(text) || !hosts.iter().all(|host| is_host(host)) {
            return Err(LOGIN);
        }
        if database.is_some_and(|name| !is_database(name)) {
            return Err(DATABASE);
        }
        let parameters = read_parameters(query.unwrap_or_default())?;
        Ok(Self { scheme, login, hosts, database, parameters })
    }

    /// The value of a parameter, where it is given.
    pub fn given(&self, name: &str) -> Option<&'a str> {
        self.parameters.iter().find(|(given, _)| *given == name).map(|(_, value)| *value)
    }

    fn shown(&self) -> String {
        let login = if self.login.is_some() { format!("{MASK}@") } else { String::new() };
        let hosts = self.hosts.join(",");
        let database = self.database.map(|name| format!("/{}", if is_plain(name) { name } else { MASK }));
        let members: Vec<String> = self.parameters.iter().map(|(name, value)| member(name, value)).collect();
        let query = if members.is_empty() { String::new() } else { format!("?{}", members.join("&")) };
        format!("{}://{login}{hosts}{}{query}", self.scheme, database.unwrap_or_default())
    }
}

fn member(name: &str, value: &str) -> String {
    if is_shown(name) && is_plain(value) { format!("{name}={value}") } else { MASK.to_owned() }
}

/// Whether the value of a parameter is known to be no secret.
pub fn is_shown(parameter: &str) -> bool {
    parameter_named(parameter).is_some_and(|parameter| parameter.is_shown)
}

/// The path of a file. What is written for another database, for a shell, or for SQLite's own addresses is none.
fn read_path(text: &str) -> Result<&str, &'static str> {
    let path = match text.strip_prefix("//") {
        Some(path) if path.is_empty() || path.starts_with('/') => path,
        Some(_) => return Err("names a file as sqlite:PATH; behind sqlite:// its path begins with /"),
        None => text,
    };
    let lower = path.to_ascii_lowercase();
    let reason = if path.is_empty() {
        "names no file"
    } else if path.trim() != path || path.contains(char::is_control) {
        "holds a blank before or behind the path of its file, or a control character"
    } else if path.starts_with('~') {
        "names a file whose ~ nobody expands: write the whole path"
    } else if path.contains('?') {
        "names a file after sqlite:, and takes no parameters behind a ?"
    } else if path.contains("://") {
        "holds an address after sqlite:, which only a path follows: write the address alone"
    } else if lower.starts_with(':') || lower.starts_with("file:") {
        "must name a file after sqlite:, such as sqlite:data/vigie.db"
    } else if path.contains([':', '\\']) {
        "names a file whose path holds a : or a \\, as logins and paths of Windows do: directories are written with /"
    } else if path.contains(['"', '\'']) {
        "names a file whose path holds a quotation mark: write it without quotes"
    } else if path.contains('&') {
        "names a file after sqlite:, and takes no parameters behind a &"
    } else if path.contains(['#', ';', '%', '$', '@', '*']) {
        "names a file whose path holds one of # ; % $ @ *, which others take for something else"
    } else {
        return kept_file(path);
    };
    Err(reason)
}

/// The same path, where a file that it names is what it seems, and is kept.
fn kept_file(path: &str) -> Result<&str, &'static str> {
    if path.chars().any(is_unseen) {
        Err("names a file whose path holds a character that nobody sees")
    } else if matches!(path.rsplit('/').next(), Some("" | "." | "..")) {
        Err("names a directory: name a file in it, such as sqlite:data/vigie.db")
    } else if is_of_the_system(Path::new(path)) {
        Err("names a device or a file of the system, which keeps nothing")
    } else {
        Ok(path)
    }
}

/// Whether it is in a directory of devices or of the kernel; `/dev/shm` holds files, as long as the machine runs.
fn is_of_the_system(path: &Path) -> bool {
    ["/dev", "/proc", "/sys"].iter().any(|directory| path.starts_with(directory)) && !path.starts_with("/dev/shm")
}

/// What stands before the first `at`, and behind it.
fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, behind)| (before, Some(behind)))
}

fn is_percent_encoded(text: &str) -> bool {
    text.split('%').skip(1).all(|behind| {
        let digits = behind.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit) && digits != b"00")
    })
}

/// `name`, `name:port`, `[address]:port`, the path of a socket, or nothing, which is this machine.
fn is_host(text: &str) -> bool {
    if let Some(bracketed) = text.strip_prefix('[') {
        let (address, behind) = split(bracketed, ']');
        let has_port = |behind: &str| behind.strip_prefix(':').is_some_and(is_port);
        return is_ipv6(address) && behind.is_some_and(|behind| behind.is_empty() || has_port(behind));
    }
    let (name, port) = split(text, ':');
    (name.is_empty() || is_name(name) || is_path(name)) && port.is_none_or(is_port)
}

/// As in the parameters `host` and `hostaddr`, where no port follows and no brackets are needed.
fn is_place(text: &str) -> bool {
    text.is_empty() || is_name(text) || is_path(text) || is_ipv6(text)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|character| character.is_alphanumeric() || "-._".contains(character))
}

fn is_path(text: &str) -> bool {
    let path = text.replace("%2F", "/").replace("%2f", "/");
    path.starts_with('/') && path.chars().all(|character| character.is_alphanumeric() || "-._/".contains(character))
}

/// An address, behind which there may be the interface that it is reached by.
fn is_ipv6(text: &str) -> bool {
    let (address, interface) = text.split_once("%25").unwrap_or((text, "0"));
    address.parse::<Ipv6Addr>().is_ok() && is_name(interface)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_database(text: &str) -> bool {
    !text.contains(['?', '&', ';', '=', '@', ':', '/', '#'])
}

fn read_parameters(query: &str) -> Result<Vec<(&str, &str)>, &'static str> {
    let mut parameters: Vec<(&str, &str)> = Vec::new();
    if query.is_empty() {
        return Ok(parameters);
    }
    for member in query.split('&') {
        let (name, value) = member.split_once('=').ok_or(MEMBER)?;
        let parameter = parameter_named(name).ok_or(UNKNOWN)?;
        if parameters.iter().any(|(given, _)| *given == name) {
            return Err(TWICE);
        }
        if value.contains(['@', '?', ';', '=']) {
            return Err(VALUE);
        }
        parameter.form.check(value)?;
        parameters.push((name, value));
    }
    Ok(parameters)
}

fn parameter_named(name: &str) -> Option<&'static Parameter> {
    PARAMETERS.iter().find(|parameter| parameter.name == name)
}

impl Form {
    /// Of a parameter whose form is known, another value may be one that was meant for another parameter.
    fn check(self, value: &str) -> Result<(), &'static str> {
        let (fits, reason) = match self {
            Self::Any => return Ok(()),
            Self::Integer => (
                value.parse::<i32>().is_ok(),
                "holds a time limit or a parameter of keep-alives that is not a whole number",
            ),
            Self::Database => (is_database(value), DATABASE),
            Self::Ports => (value.split(',').all(is_port), "holds a port that is no number from 1 to 65535"),
            Self::Places => (
                value.split(',').all(is_place),
                "holds a host that is neither a name nor an address nor a path; its port is a parameter of its own",
            ),
            Self::Word(Words { taken, otherwise }) => (taken.contains(&value), *otherwise),
        };
        if fits { Ok(()) } else { Err(reason) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: &str) -> &'static str {
        DatabaseAddress::parse(text).err().unwrap_or("none: it was read")
    }

    #[test]
    fn an_address_is_read_into_its_parts() {
        let text = "postgresql://u:p%40%2F@one:5432,[::1]:5433,[fe80::1%25eth0]/vigie?sslmode=require&options=-cx%3D1";
        let read = PostgresAddress::read(text).unwrap();
        assert_eq!((read.scheme, read.login, read.database), ("postgresql", Some("u:p%40%2F"), Some("vigie")));
        assert_eq!(read.hosts, ["one:5432", "[::1]:5433", "[fe80::1%25eth0]"]);
        assert_eq!(read.parameters, [("sslmode", "require"), ("options", "-cx%3D1")]);
        assert_eq!((read.given("options"), read.given("user")), (Some("-cx%3D1"), None));
    }

    #[test]
    fn what_the_client_reads_without_doubt_is_read() {
        for text in [
            "postgres:///x",
            "postgres://",
            "postgres://u@",
            "postgres://@db.example:5432/vigie",
            "postgres://one,two",
            "postgres://[::1]:1,b:2",
            "postgres://vigie@%2Frun%2Fpostgresql/vigie",
            "postgres://vigie@/vigie?host=/run/postgresql&port=5432",
            "postgres://u:p%40%2F@db:5432/x?host=a,b&port=1,2",
            "postgres://db/x?hostaddr=::1,192.0.2.1",
            "postgres://db/x?",
            "postgres://db/x?connect_timeout=10&keepalives=1&tcp_user_timeout=-1",
            "postgres://db/x?sslrootcert=%2Fetc%2Fssl%2Fx.pem&sslmode=verify-full",
            "postgres://db/x?password=p%40%3B%26",
        ] {
            let read = DatabaseAddress::parse(text);
            assert!(matches!(read, Ok(DatabaseAddress::Postgres(_))), "{text}: {read:?}");
        }
    }

    #[test]
    fn where_a_part_could_be_taken_for_another_nothing_is_read() {
        let place = "postgres://127.0.0.1:1/x";
        for (rest, said) in [
            ("&password=hunter2", DATABASE),
            (";password=hunter2", DATABASE),
            ("#hunter2", DATABASE),
            ("/hunter2", DATABASE),
            (" password=hunter2", BLANK),
            ("?sslmode=require\tx", BLANK),
            ("?sslmode=require\u{a0}x", BLANK),
            ("?user=v&password=p@hunter2&sslmode=require", LOGIN),
            ("?sslmode=require?password=hunter2", VALUE),
            ("?sslmode=require;password=hunter2", VALUE),
            ("?sslmode=require%26password=hunter2", VALUE),
            ("?connect_timeout=10;password=hunter2", VALUE),
            ("?dbname=host=1", VALUE),
            ("?dbname=host=1 password=hunter2", BLANK),
            ("?application_name=%zz", LOGIN),
            ("?application_name=%00", LOGIN),
            ("?hunter2", MEMBER),
            ("?sslmode=require&", MEMBER),
            ("?passwort=hunter2", UNKNOWN),
            ("?SSLMODE=require", UNKNOWN),
            ("?%73slmode=disable", UNKNOWN),
            ("?sslmode=verify-full&sslmode=disable", TWICE),
            ("?sslmode=hunter2", "none of disable"),
            ("?sslmode=", "none of disable"),
            ("?target_session_attrs=rw", "read-write"),
            ("?channel_binding=yes", "channel_binding"),
            ("?gssencmode=no", "gssencmode"),
            ("?sslnegotiation=tls", "sslnegotiation"),
            ("?load_balance_hosts=yes", "load_balance_hosts"),
            ("?connect_timeout=10s", "whole number"),
            ("?keepalives_count=a", "whole number"),
            ("?port=0", "65535"),
            ("?port=1,65536", "65535"),
            ("?host=a:1", "a parameter of its own"),
            ("?hostaddr=[::1]", "a parameter of its own"),
            ("?host=a%3A1", "a parameter of its own"),
        ] {
            assert!(reason(&format!("{place}{rest}")).contains(said), "{rest}: {}", reason(&format!("{place}{rest}")));
        }
    }

    #[test]
    fn a_login_that_ends_elsewhere_than_it_seems_is_not_read() {
        for rest in [
            "u:p/z@db/x",
            "u:p%z@db/x",
            "u:p@z@db/x",
            "u:p?z@db/x",
            "u:p@y@db",
            "u:pass/x",
            "u:p%00@db",
            "db:0/x",
            "db:/x",
            "db:70000/x",
            "[::1]:p/x",
            "[::1/x",
            "[hunter2]/x",
            "a:1:2/x",
            "%41b/x",
            "/x?host=127.0.0.1&port=1&password=a@hunter2",
        ] {
            assert_eq!(reason(&format!("postgres://{rest}")), LOGIN, "{rest}");
        }
        for text in ["", "db", "mysql://db/x", "Postgres://db/x", "host=db password=hunter2", "SQLITE:x.db"] {
            assert_eq!(reason(text), SCHEME, "{text}");
        }
    }

    #[test]
    fn a_path_that_would_be_taken_for_another_is_not_read() {
        for (text, said) in [
            ("sqlite:", "names no file"),
            ("sqlite://", "names no file"),
            ("sqlite: x.db", "blank"),
            ("sqlite:x.db ", "blank"),
            ("sqlite:   ", "blank"),
            ("sqlite:///var/x.db\u{a0}", "blank"),
            ("sqlite:a\nb", "control"),
            ("sqlite:~/x.db", "whole path"),
            ("sqlite:x.db?password=hunter2", "no parameters"),
            ("sqlite::memory:", "must name a file"),
            ("sqlite::MEMORY:", "must name a file"),
            ("sqlite:file:x.db", "must name a file"),
            ("sqlite::memory:x", "must name a file"),
            ("sqlite:postgres://db/x", "holds an address"),
            ("sqlite:sqlite:///x.db", "holds an address"),
            ("sqlite:\"x.db\"", "without quotes"),
            ("sqlite:'x.db'", "without quotes"),
            ("sqlite:x.db&mode=ro", "no parameters behind a &"),
            ("sqlite:C:\\x", "paths of Windows"),
            ("sqlite:C:/x.db", "paths of Windows"),
            ("sqlite:data\\x.db", "paths of Windows"),
            ("sqlite:vigie:hunter2", "logins"),
            ("sqlite:x\u{200b}.db", "nobody sees"),
            ("sqlite:\u{feff}x.db", "nobody sees"),
            ("sqlite:/dev/null", "a device"),
            ("sqlite:/dev//null", "a device"),
            ("sqlite:///proc/self/mem", "a device"),
            ("sqlite:.", "a directory"),
            ("sqlite:..", "a directory"),
            ("sqlite:data/.", "a directory"),
            ("sqlite:x/", "a directory"),
            ("sqlite:/", "a directory"),
            ("sqlite:x#y.db", "# ; %"),
            ("sqlite:x;y.db", "# ; %"),
            ("sqlite:x%20y.db", "# ; %"),
            ("sqlite:$HOME/x.db", "# ; %"),
            ("sqlite:vigie@x.db", "# ; %"),
            ("sqlite:*.db", "# ; %"),
            ("sqlite://localhost/tmp/x.db", "begins with /"),
            ("sqlite://vigie:hunter2@127.0.0.1/x", "begins with /"),
            ("sqlite://data/vigie.db", "begins with /"),
        ] {
            assert!(reason(text).contains(said), "{text}: {}", reason(text));
        }
        for (text, path) in [
            ("sqlite:data/vigie.db", "data/vigie.db"),
            ("sqlite:/var/vigie.db", "/var/vigie.db"),
            ("sqlite:/dev/shm/vigie.db", "/dev/shm/vigie.db"),
            ("sqlite:../été/.vigie", "../été/.vigie"),
            ("sqlite:///var/my files/vigie.db", "/var/my files/vigie.db"),
        ] {
            let read = DatabaseAddress::parse(text);
            assert!(matches!(&read, Ok(DatabaseAddress::Sqlite(read)) if read.to_str() == Some(path)), "{read:?}");
        }
    }

    #[test]
    fn no_part_of_an_address_that_may_be_a_password_is_shown() {
        for address in [
            "postgres://vigie:hunter2@db/vigie",
            "postgres://vigie:hunter2/zz@db/vigie",
            "postgres://vigie:hunter2?zz#@db/vigie",
            "postgres://vigie:p@hunter2@db/vigie",
            "postgres://vigie:p%hunter2@db/vigie",
            "postgres://vigie:hunter2",
            "postgres://vigie:hunter2/zz",
            "postgres://[::1]:hunter2/zz",
            "postgres://db/vigie?password=hunter2",
            "postgres://db/vigie?sslmode=require&passwort=hunter2",
            "postgres://db/vigie?hunter2",
            "postgres://db/vigie?sslpassword=hunter2&options=-cx%3Dhunter2",
            "postgres://db/vigie?user=v&password=p@hunter2&sslmode=require",
            "postgres://db/vigie&password=hunter2",
            "postgres://db/vigie;password=hunter2",
            "postgres://db/vigie password=hunter2",
            "postgres://db/vigie#hunter2",
            "postgres://db/vigie%26password%3Dhunter2",
            "postgres://db/vigie?sslmode=require?password=hunter2",
            "postgres://db/vigie?sslmode=require;password=hunter2",
            "postgres://db/vigie?sslmode=require%26password=hunter2",
            "postgres://db/vigie?application_name=x%26password%3Dhunter2",
            "postgres://db/vigie?connect_timeout=10;password=hunter2",
            "postgres://db/vigie?dbname=host=1 password=hunter2",
            "postgres://db/vigie?dbname=host%3D1%20password%3Dhunter2",
            "postgres:///x?host=127.0.0.1&port=1&password=a@hunter2",
            "sqlite://vigie:hunter2@h/x",
            "sqlite:x.db?password=hunter2",
            "host=db password=hunter2",
            "hunter2",
            "hun ter2 ://hunter2",
            "smtps://vigie:hunter2@mail.example.org",
        ] {
            assert!(!shown(address).contains("hunter2"), "{}", shown(address));
            assert!(!format!("{:?}", DatabaseAddress::parse(address)).contains("hunter2"), "{address}");
        }
    }

    #[test]
    fn what_is_no_secret_is_shown() {
        for (address, said) in [
            ("sqlite:data/vigie.db", "sqlite:data/vigie.db"),
            ("postgres:///vigie", "postgres:///vigie"),
            ("postgres://@one", "postgres://********@one"),
            ("postgres:///x?host=/run/postgresql&port=1", "postgres:///x?host=/run/postgresql&port=1"),
            ("postgres://db/my%20own?sslmode=require", "postgres://db/********?sslmode=require"),
            ("postgresql://db:x/vigie", "postgresql://********"),
            ("sqlite:x;y", "sqlite:********"),
            ("mysql://db/vigie", "********"),
            (
                "postgres://app:x@one:5432,[::1]:5433/vigie?sslmode=verify-full&sslpassword=x",
                "postgres://********@one:5432,[::1]:5433/vigie?sslmode=verify-full&********",
            ),
        ] {
            assert_eq!(shown(address), said);
        }
    }
}
