//! The address of a Postgres database. It is checked here, part by part, and kept as a text, which the store parses
//! again.

use std::fmt;

/// `scheme://USER:PASSWORD@HOST:PORT/DATABASE?PARAMETERS`. Shown without the password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    text: String,
    shown: String,
}

const EXPECTED: &str = "expected postgres://USER:PASSWORD@HOST:PORT/DATABASE, or for a socket \
                        postgres:///DATABASE?host=/DIRECTORY&user=USER";
/// Parameters that have an effect; any other would be silently ignored.
const PARAMETERS: [&str; 13] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];
const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

impl PostgresUrl {
    /// Checks an address. The error says what is expected and never repeats the text, which may hold a password.
    pub fn parse(text: &str) -> Result<PostgresUrl, String> {
        let Some((scheme, rest)) = text.split_once("://") else { return Err(EXPECTED.to_owned()) };
        if !matches!(scheme, "postgres" | "postgresql") {
            return Err(EXPECTED.to_owned());
        }
        if text.bytes().any(|b| b.is_ascii_whitespace() || b.is_ascii_control() || b == b'#') {
            return Err(
                "expected an address without blanks and `#`; write such characters as %20, %23".to_owned()
            );
        }
        let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
        let (authority, path) = place.split_once('/').unwrap_or((place, ""));
        let mut shown = format!("{scheme}://");
        shown.push_str(&authority_shown(authority)?);
        if place.contains('/') {
            shown.push('/');
            shown.push_str(decodable("database", path)?);
        }
        if path.contains('/') {
            return Err("expected one name of a database after the host".to_owned());
        }
        if let Some(query) = query {
            shown.push('?');
            let parameters: Vec<String> = query.split('&').map(parameter_shown).collect::<Result<_, _>>()?;
            shown.push_str(&parameters.join("&"));
        }
        Ok(PostgresUrl { text: text.to_owned(), shown })
    }

    /// The whole address, with the password: for the store alone.
    pub fn reveal(&self) -> &str {
        &self.text
    }
}

/// `USER:PASSWORD@HOST:PORT`, checked, without the password.
fn authority_shown(authority: &str) -> Result<String, String> {
    let (login, host) = authority.rsplit_once('@').map_or((None, authority), |(l, host)| (Some(l), host));
    let (name, port) = match host.rsplit_once(':') {
        // The colons of an IPv6 address stand within brackets.
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    };
    if host.contains(',') {
        return Err("expected one host; give the address that leads to the primary".to_owned());
    }
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err("expected a number from 1 to 65535 as the port".to_owned());
    }
    if name.is_empty() && (login.is_some() || port.is_some()) {
        return Err("expected a host after the user; for a socket, say postgres:///DATABASE?host=/DIRECTORY&user=USER"
            .to_owned());
    }
    decodable("host", host)?;
    let Some(login) = login else { return Ok(host.to_owned()) };
    if login.contains(['@', '/']) {
        return Err("expected the special characters of a password as %40 (@), %2F (/), %3A (:)".to_owned());
    }
    let (user, password) = login.split_once(':').map_or((login, None), |(user, p)| (user, Some(p)));
    decodable("user", user)?;
    if let Some(password) = password {
        decodable("password", password)?;
        return Ok(format!("{user}:***@{host}"));
    }
    Ok(format!("{user}@{host}"))
}

/// `NAME=VALUE`, checked, without a password.
fn parameter_shown(parameter: &str) -> Result<String, String> {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    if !PARAMETERS.contains(&name) {
        return Err(format!("expected only known parameters after `?`: {}", PARAMETERS.join(", ")));
    }
    decodable(name, value)?;
    match name {
        "sslmode" if !SSL_MODES.contains(&value) => {
            Err(format!("expected sslmode to be one of {}", SSL_MODES.join(", ")))
        }
        "port" if value.parse::<u16>().is_err() => {
            Err("expected a number from 1 to 65535 as the port".to_owned())
        }
        "hostaddr" if value.parse::<std::net::IpAddr>().is_err() => {
            Err("expected hostaddr to be a number such as 192.0.2.1".to_owned())
        }
        "statement-cache-capacity" if value.parse::<u16>().is_err() => {
            Err("expected a number as statement-cache-capacity".to_owned())
        }
        "password" => Ok("password=***".to_owned()),
        // Settings of the session can hold anything.
        "options" => Ok("options=***".to_owned()),
        _ => Ok(parameter.to_owned()),
    }
}

/// The text, if every `%` is followed by two hexadecimal digits and the bytes are UTF-8.
fn decodable<'t>(what: &str, text: &'t str) -> Result<&'t str, String> {
    let wrong = || format!("expected %XX with two digits of 0-9 and A-F in the {what} (a `%` itself is %25)");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else { return Err(wrong()) };
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| wrong())?);
    }
    String::from_utf8(bytes).map(|_| text).map_err(|_| wrong())
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Shows what Display shows.
impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_never_shown() {
        for (given, shown) in [
            ("postgres://u:hunter2@db/x", "postgres://u:***@db/x"),
            (
                "postgresql://u:hunter2@db:5433/x?sslmode=require",
                "postgresql://u:***@db:5433/x?sslmode=require",
            ),
            ("postgres://u:hunter2%40@[::1]:1/x", "postgres://u:***@[::1]:1/x"),
            (
                "postgres:///x?host=/run/pg&user=u&password=hunter2",
                "postgres:///x?host=/run/pg&user=u&password=***",
            ),
            ("postgres://db/x?options=-c%20a=hunter2", "postgres://db/x?options=***"),
            ("postgres://u@%2Frun%2Fpg/x", "postgres://u@%2Frun%2Fpg/x"),
            ("postgres://db", "postgres://db"),
        ] {
            let url = PostgresUrl::parse(given).unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
            assert_eq!(url.reveal(), given);
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_text() {
        for (given, said) in [
            ("postgres:hunter2", "postgres://"),
            ("postgres://u:hunter2@/x", "host"),
            ("postgres://u:hunter2@db:x/x", "port"),
            ("postgres://u:hunter2@db:70000/x", "port"),
            ("postgres://u:hunter2@a,b/x", "one host"),
            ("postgres://u:hunter2@db/x/y", "one name"),
            ("postgres://u:hunter2%4@db/x", "%XX"),
            ("postgres://u:hunter2%ff@db/x", "%XX"),
            ("postgres://u:hun@ter2@db/x", "%40"),
            ("postgres://u:hunter2@db/x?sslmode=hunter2", "verify-full"),
            ("postgres://u:hunter2@db/x?hunter2=1", "known parameters"),
            ("postgres://u:hunter2@db/x?port=hunter2", "port"),
            ("postgres://u:hunter2@db/x#hunter2", "%23"),
            ("postgres://u:hunter2 @db/x", "%20"),
        ] {
            let error = PostgresUrl::parse(given).unwrap_err();
            assert!(error.contains(said), "{given}: {error}");
            assert!(!error.contains("hunter2") && !error.contains("ter2"), "{error}");
        }
    }
}
