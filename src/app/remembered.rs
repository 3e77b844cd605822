//! Answers about the configuration that are remembered as long as nothing of what they were made from has changed: reading some two hundred
//! files takes longer than looking whether they changed. A few answers, of bounded size.

use crate::jobs::watched::Watched;

/// The most answers that are remembered: one for each list.
const MOST: usize = 3;
/// The longest one that is, in bytes: all of them together fit a mebibyte.
const LONGEST: usize = 340 * 1024;

/// The answers.
#[derive(Debug, Default)]
pub struct Remembered(Vec<Answer>);

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
        let answer = self.0.iter().find(|answer| answer.list == list && answer.question == question)?;
        answer.watched.is_as_it_was().then_some(answer.body.as_slice())
    }

    /// Remembers one in place of what there was of its list; not one that is too long, or made from what has changed just now.
    pub fn keep(&mut self, answer: Answer) {
        self.0.retain(|own| own.list != answer.list);
        if answer.body.len() <= LONGEST && self.0.len() < MOST && answer.watched.is_settled() {
            self.0.push(answer);
        }
    }
}
