//! Templates: text with `{column}` places, and chats.

use serde::{Deserialize, Serialize};

/// What a row's prompt or target is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Template {
    Text(Vec<Part>),
    /// `chat([system("…"), user("{q}")])`, through the model's own chat template.
    Chat(Vec<Message>),
}

/// A piece of a text template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    Text(String),
    Column(String),
    /// `when("{input}", then, else)`: `then` where the rendered condition is not blank.
    When {
        condition: Vec<Part>,
        then: Vec<Part>,
        otherwise: Vec<Part>,
    },
}

/// One message of a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`
    pub role: String,
    pub content: Vec<Part>,
}
