//! A question that is a command for Redis. Each time on a fresh connection, which is closed with the answer.

use std::fmt;

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _,
    RedisConnectionInfo, RedisError, RedisResult, Value,
};

use crate::server::{Expected, Server};

/// A command and the reply that is expected.
#[derive(Debug, Clone, Default)]
pub struct RedisQuestion {
    /// Who is asked; its database is a number.
    pub server: Server,
    /// The command's words; never empty.
    pub command: Vec<String>,
    /// What is expected of the reply; a reply that is an error is never good.
    pub expected: Expected,
}

impl fmt::Display for RedisQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.command.join(" "), self.server)
    }
}

/// Asks once.
pub(crate) async fn ask(question: &RedisQuestion) -> (bool, String) {
    match reply(question).await {
        Ok(value) => question.expected.judge(words(&value)),
        Err(error) => (false, error_words(&error)),
    }
}

async fn reply(question: &RedisQuestion) -> RedisResult<Value> {
    let Server { host, port, user, password, database } = &question.server;
    // The library's name is not sent: that is one more round trip.
    let mut login = RedisConnectionInfo::default().set_skip_set_lib_name();
    if let Some(user) = user {
        login = login.set_username(user);
    }
    if let Some(password) = password {
        login = login.set_password(password);
    }
    if let Some(number) = database.as_ref().and_then(|text| text.parse().ok()) {
        login = login.set_db(number);
    }
    let info: ConnectionInfo = ConnectionAddr::Tcp(host.clone(), *port).into_connection_info()?;
    let client = Client::open(info.set_redis_settings(login))?;
    // The asker's own patience counts, not the library's.
    let patient = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    let mut connection = client.get_multiplexed_async_connection_with_config(&patient).await?;
    let [name, words @ ..] = question.command.as_slice() else {
        return Err(RedisError::from((redis::ErrorKind::InvalidClientConfig, "the command is empty")));
    };
    redis::cmd(name).arg(words).query_async(&mut connection).await
}

/// A reply as a text: one line for each entry of a list, `nil` for nothing.
fn words(value: &Value) -> String {
    let lines = |values: &[Value]| values.iter().map(words).collect::<Vec<_>>().join("\n");
    match value {
        Value::Nil => "nil".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Array(values) | Value::Set(values) => lines(values),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => text.clone(),
        Value::Okay => "OK".to_owned(),
        Value::Double(number) => number.to_string(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Map(pairs) => {
            let pair = |(key, value): &(Value, Value)| format!("{}|{}", words(key), words(value));
            pairs.iter().map(pair).collect::<Vec<_>>().join("\n")
        }
        Value::ServerError(error) => error.to_string(),
        other => format!("{other:?}"),
    }
}

fn error_words(error: &RedisError) -> String {
    match () {
        () if error.is_connection_refusal() => "refused".to_owned(),
        () if error.is_connection_dropped() => "closed without an answer".to_owned(),
        () => error.to_string(),
    }
}
