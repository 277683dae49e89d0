//! `GET /help`: what shoppers ask.

use actix_web::http::StatusCode;
use askama::Template;

use crate::{error::Answer, frame::Frame, visitor::Visitor};

/// The questions: keys are `help-<name>-q` and `help-<name>-a`.
pub(crate) const TOPICS: [&str; 7] = ["order", "pay", "shipping", "cancel", "cart", "account", "privacy"];

#[derive(Template)]
#[template(path = "help.html")]
pub(crate) struct HelpPage {
    pub(crate) page: Frame,
    pub(crate) topics: Vec<(&'static str, String, String)>,
}

/// Help.
pub(crate) async fn help(visitor: Visitor) -> Answer {
    let topics = TOPICS
        .iter()
        .map(|name| {
            let text = |part: &str| visitor.text(&format!("help-{name}-{part}"));
            (*name, text("q"), text("a"))
        })
        .collect();
    let title = visitor.text("help-title");
    visitor.show(StatusCode::OK, &HelpPage { page: visitor.frame(title.clone()).listed(title), topics })
}
