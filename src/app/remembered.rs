//! Answers about the configuration that are remembered as long as nothing of what they were made from has changed: reading some two hundred
//! files takes longer than looking whether they changed. A few answers, of bounded size.

use serde_json::{Map, Value};

use crate::jobs::watched::Watched;

/// The most answers that are remembered: one for each list.
const MOST: usize = 3;
/// The longest one that is, in bytes: all of them together fit a mebibyte.
const LONGEST: usize = 340 * 1024;

/// The answers.
#[derive(Debug, Default)]
pub struct Remembered {
    answers: Vec<Answer>,
    /// What is known of the costs of filters, by their names: there may not be time for all of them at once, so the next one goes on.
    judged: Option<(Watched, Map<String, Value>)>,
}

/// One of them.
#[derive(Debug)]
pub struct Answer {
    /// Which list it is.
    pub list: &'static str,
    /// What was asked, with everything that was given to the child.
    pub question: String,
    /// What it was made from.
    pub watched: Watched,
    /// Its bytes.
    pub body: Vec<u8>,
}

impl Remembered {
    /// The answer to a question, where it still holds.
    pub fn find(&self, list: &str, question: &str) -> Option<&[u8]> {
        let answer = self.answers.iter().find(|answer| answer.list == list && answer.question == question)?;
        answer.watched.is_as_it_was().then_some(answer.body.as_slice())
    }

    /// Remembers one in place of what there was of its list; not one that is too long, or made from what has changed just now.
    pub fn keep(&mut self, answer: Answer) {
        self.answers.retain(|own| own.list != answer.list);
        if answer.body.len() <= LONGEST && self.answers.len() < MOST && answer.watched.is_settled() {
            self.answers.push(answer);
        }
    }

    /// What is known of the costs of filters, where it still holds.
    pub fn judged(&self) -> Map<String, Value> {
        let known = self.judged.as_ref().filter(|(watched, _)| watched.is_as_it_was());
        known.map(|(_, judged)| judged.clone()).unwrap_or_default()
    }

    /// Remembers it, as `keep` does.
    pub fn keep_judged(&mut self, watched: Watched, judged: Map<String, Value>) {
        self.judged = watched.is_settled().then_some((watched, judged));
    }
}
