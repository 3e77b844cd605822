//! The lists of the configuration: answered from what is remembered while nothing on disk has changed, else made by a child and remembered.

use serde_json::Value;

use crate::app::remembered::Answer;
use crate::app::{ApiError, Ctx, Job, Outcome};
use crate::domain::json;
use crate::jobs::Task;
use crate::jobs::definitions::JUDGED;
use crate::jobs::watched::{FROM, Watched};
use crate::server::response::Response;

/// What adds to a child's answer what only the loop knows, and gives it its shape.
pub type Complete = Box<dyn FnOnce(&Ctx, Value) -> Value>;

/// The answer that is remembered, or the work of a child whose answer will be. `complete` adds what only the loop knows, of which `beside`
/// holds everything.
pub fn or_made(
    ctx: &mut Ctx,
    list: &'static str,
    mut task: Task,
    beside: &str,
    complete: Complete,
) -> Result<Outcome, ApiError> {
    let question = format!("{beside} {}", json::text(&task).map_err(ApiError::internal)?);
    if let Some(body) = ctx.remembered.find(list, &question) {
        return Ok(Outcome::Answer(Response::json_bytes(200, body.to_vec())));
    }
    if let Task::ShowDefinitions(show) = &mut task {
        show.judged = ctx.remembered.judged();
    }
    let finish = move |ctx: &mut Ctx, mut answer: Value| {
        let is_whole = answer["unjudged"].as_array().is_none_or(Vec::is_empty);
        let mut take = |key: &str| answer.as_object_mut().and_then(|answer| answer.remove(key));
        let (watched, judged) = (take(FROM).and_then(|watched| json::from_tree::<Watched>(watched).ok()), take(JUDGED));
        let body = complete(ctx, answer).to_string().into_bytes();
        if let (Some(watched), Some(Value::Object(judged))) = (&watched, judged) {
            ctx.remembered.keep_judged(watched.clone(), judged);
        }
        if let Some(watched) = watched.filter(|_| is_whole) {
            ctx.remembered.keep(Answer { list, question, watched, body: body.clone() });
        }
        Ok(Response::json_bytes(200, body))
    };
    Ok(Outcome::Job(Box::new(Job::new(task, finish))))
}
