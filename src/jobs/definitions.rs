//! Filters and actions as the files define them, shown by a child: a router takes its time to read two hundred files.
//!
//! Whether the daemon runs is not asked here; the answer's `active` is for the loop to add.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::expressions::Expressions;
use super::patterns::Answer;
use super::refusal::Refusal;
use super::watched::{FROM, Watched};
use crate::apply::never_ban::tree_without;
use crate::conf::{self, DefinitionView, Document, Invocation, JailUse, OptionView, Overlay, Tree, Version};
use crate::fail2ban::reload::Installation;
use crate::files;
use crate::pattern::date::Clock;
use crate::pattern::{Filter, FilterDefinition, FilterError, warnings};

/// How long the expressions of all filters are looked at together, and those of one.
const ALL_FILTERS: Duration = Duration::from_millis(800);
const ONE_FILTER: Duration = Duration::from_secs(3);

/// What kind of definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A file of `filter.d`.
    Filter,
    /// A file of `action.d`.
    Action,
}

/// Options of a filter with a field of their own in the answer; the others are variables.
pub const FILTER_FIELDS: [&str; 6] =
    ["prefregex", "failregex", "ignoreregex", "maxlines", "datepattern", "journalmatch"];

/// Options of an action with a field of their own in the answer.
pub const ACTION_FIELDS: [&str; 6] =
    ["actionstart", "actionstop", "actioncheck", "actionban", "actionunban", "actionflush"];

/// What is shown of a filter and cannot be changed. `warnings` are remarks and no part of it.
pub const FILTER_READ_ONLY: [&str; 13] = [
    "name",
    "filename",
    "before",
    "after",
    "used_by_jails",
    "active",
    "source_file",
    "has_local_override",
    "problem",
    "variables",
    "effective_failregex",
    "effective_ignoreregex",
    "effective_prefregex",
];

/// What is shown of an action and cannot be changed. `warnings` are remarks and no part of it.
pub const ACTION_READ_ONLY: [&str; 10] = [
    "name",
    "filename",
    "before",
    "after",
    "used_by_jails",
    "active",
    "source_file",
    "has_local_override",
    "problem",
    "effective",
];

/// Tags that hold log lines or what others say of an address. A shell that gets them unquoted runs what an attacker
/// writes into the log.
pub const UNSAFE_TAGS: [&str; 4] = ["<matches>", "<ipmatches>", "<ipjailmatches>", "<F-"];

/// Show one or all.
#[derive(Debug, Serialize, Deserialize)]
pub struct Show {
    /// Where fail2ban's configuration is, and of which release.
    pub place: Installation,
    /// Filters or actions.
    pub kind: Kind,
    /// One of them; `None` for all.
    pub name: Option<String>,
    /// What is known already of the costs of filters: by their names, what is to be said of them.
    pub judged: Map<String, Value>,
}

/// What the answer has the costs of all filters under; the loop takes it off.
pub const JUDGED: &str = "judged";

impl Show {
    /// The body of the answer, but for `active`.
    pub fn run(self) -> Answer {
        let watched = Watched::of(&self.place.config_dir);
        let tree = tree_of(&self.place)?;
        if let Some(name) = &self.name {
            return Ok(with_warnings(&tree, self.kind, name, one(&tree, self.kind, name)?));
        }
        let names = match self.kind {
            Kind::Filter => tree.filters(),
            Kind::Action => tree.actions(),
        };
        let uses = tree.uses(tree.version());
        let mut items: Vec<Value> = names.iter().map(|name| shown(&tree, self.kind, name, &uses)).collect();
        let from = if tree.reads_elsewhere() { Value::Null } else { json!(watched) };
        if self.kind == Kind::Action {
            return Ok(json!({ "total": items.len(), "items": items, FROM: from }));
        }
        // Those that are at work come first; there may not be time for all.
        let deadline = Instant::now() + ALL_FILTERS;
        let (mut unjudged, mut judged, mut is_first) = (Vec::new(), self.judged, true);
        items.sort_by_cached_key(|item| item["used_by_jails"].as_array().is_none_or(Vec::is_empty));
        for item in &mut items {
            let name = item["name"].as_str().unwrap_or_default().to_owned();
            if !judged.contains_key(&name)
                && let Some(warnings) = cost_warnings(&tree, &name, deadline)
                && (Instant::now() < deadline || is_first)
            {
                // One that was cut short is looked at anew, with all of the time there is; then what it takes to the end of that is told.
                is_first = false;
                judged.insert(name.clone(), json!(warnings));
            }
            match judged.get(&name) {
                Some(warnings) => item["warnings"] = warnings.clone(),
                None => {
                    item["warnings"] = json!([]);
                    unjudged.push(name);
                }
            }
        }
        items.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
        // What there was no time for is looked at by the next one who asks: who then has what is known from here.
        Ok(json!({ "total": items.len(), "items": items, "unjudged": unjudged, FROM: from, JUDGED: judged }))
    }
}

/// The configuration, as its release reads it.
pub fn tree_of(place: &Installation) -> Result<Tree, conf::Error> {
    Ok(tree_without(&place.config_dir, &Overlay::new())?.read_as(Version::known(place.release().as_deref())))
}

/// Whether a filter or action is at work: an enabled jail uses it, and the daemon is there.
pub fn is_active(shown: &Value, is_online: bool) -> bool {
    is_online && shown["used_by_jails"].as_array().is_some_and(|jails| !jails.is_empty())
}

/// One filter or action with what is to be said of its expressions.
pub fn with_warnings(tree: &Tree, kind: Kind, name: &str, mut body: Value) -> Value {
    if kind == Kind::Filter {
        body["warnings"] = json!(cost_warnings(tree, name, Instant::now() + ONE_FILTER).unwrap_or_default());
    }
    body
}

/// What the expressions of a filter can cost; `None` when there is no time left.
fn cost_warnings(tree: &Tree, name: &str, deadline: Instant) -> Option<Vec<String>> {
    if Instant::now() >= deadline {
        return None;
    }
    let definition = Kind::Filter.view(tree, name).ok().and_then(|view| view.filter_definition().ok());
    let judged = definition.map(|definition| Expressions::of(&definition).judge_until(deadline, None, &|_| true));
    Some(judged.and_then(Result::ok).unwrap_or_default())
}

/// One filter or action as the API shows it.
pub fn one(tree: &Tree, kind: Kind, name: &str) -> Answer {
    let known = match kind {
        Kind::Filter => tree.filters(),
        Kind::Action => tree.actions(),
    };
    if !known.iter().any(|known| known == name) {
        return Err(kind.missing(name).into());
    }
    Ok(shown(tree, kind, name, &tree.uses(tree.version())))
}

impl Kind {
    /// The directory below the configuration directory.
    pub fn folder(self) -> &'static str {
        match self {
            Kind::Filter => "filter.d",
            Kind::Action => "action.d",
        }
    }

    /// That there is none of that name.
    pub fn missing(self, name: &str) -> Refusal {
        match self {
            Kind::Filter => Refusal::NoFilter(name.to_owned()),
            Kind::Action => Refusal::NoAction(name.to_owned()),
        }
    }

    /// The view of one as it is without parameters.
    pub fn view(self, tree: &Tree, name: &str) -> Result<DefinitionView, conf::Error> {
        let called = Invocation { name: name.to_owned(), ..Invocation::default() };
        match self {
            Kind::Filter => tree.filter(&called, "auto"),
            Kind::Action => tree.action(&called),
        }
    }
}

/// The enabled jails that name a filter or an action.
pub fn used_by(uses: &[JailUse], kind: Kind, name: &str) -> Vec<String> {
    let names = |used: &&JailUse| match kind {
        Kind::Filter => used.filter.as_deref() == Some(name),
        Kind::Action => used.actions.iter().any(|action| action == name),
    };
    uses.iter().filter(|used| used.enabled).filter(names).map(|used| used.jail.to_string()).collect()
}

/// The longest file that is looked into, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// What stands in `[INCLUDES]`, and which files there are.
struct Files {
    conf: PathBuf,
    local: PathBuf,
    before: Option<String>,
    after: Option<String>,
}

impl Files {
    fn of(tree: &Tree, kind: Kind, name: &str) -> Files {
        let path = |ending: &str| PathBuf::from(format!("{}/{}/{name}.{ending}", tree.base(), kind.folder()));
        let mut files = Files { conf: path("conf"), local: path("local"), before: None, after: None };
        for path in [&files.conf, &files.local] {
            let bytes = files::read(path, MAX_FILE).unwrap_or_default();
            let text = String::from_utf8(bytes).unwrap_or_default();
            let Ok(document) = Document::parse(text) else { continue };
            let option = |key| document.setting("INCLUDES", key).map(|setting| setting.value.to_string());
            files.before = option("before").or(files.before);
            files.after = option("after").or(files.after);
        }
        files
    }
}

fn shown(tree: &Tree, kind: Kind, name: &str, uses: &[JailUse]) -> Value {
    let files = Files::of(tree, kind, name);
    let has_local = files.local.exists();
    let source = if files.conf.exists() { &files.conf } else { &files.local };
    let mut body = json!({
        "name": name,
        "filename": source.file_name().unwrap_or_default().to_string_lossy(),
        "before": files.before,
        "after": files.after,
        "used_by_jails": used_by(uses, kind, name),
        "source_file": source,
        "has_local_override": has_local,
    });
    let view = kind.view(tree, name);
    let problem = match &view {
        Ok(view) => view.problem.clone(),
        Err(error) => Some(error.to_string()),
    };
    let own = match kind {
        Kind::Filter => filter_fields(view.as_ref().ok(), &files),
        Kind::Action => action_fields(view.as_ref().ok(), &files),
    };
    body["problem"] = json!(problem);
    if let Value::Object(body) = &mut body {
        body.extend(own);
    }
    body
}

/// An option as it is written where it counts: what `[Init]` says goes before `[Definition]`.
pub fn written<'v>(view: &'v DefinitionView, key: &str) -> Option<&'v OptionView> {
    let find = |options: &'v [OptionView]| options.iter().find(|option| &*option.key == key);
    find(&view.init).or_else(|| find(&view.definition))
}

/// The options of a section that its own files set and that have no field of their own.
fn variables(options: &[OptionView], files: &Files, fields: &[&str]) -> Map<String, Value> {
    let stems = [files.conf.with_extension(""), files.local.with_extension("")];
    let is_own = |option: &&OptionView| {
        let Some(origin) = &option.origin else { return false };
        let file = PathBuf::from(&*origin.file);
        let in_drop_in = file.parent().is_some_and(|parent| parent == stems[0].with_extension("d"));
        file == files.conf || file == files.local || in_drop_in
    };
    let own = options.iter().filter(is_own).filter(|option| !fields.contains(&&*option.key));
    own.map(|option| (option.key.to_string(), Value::from(option.raw.as_str()))).collect()
}

fn filter_fields(view: Option<&DefinitionView>, files: &Files) -> Map<String, Value> {
    let raw = |key: &str| view.and_then(|view| written(view, key)).map(|option| option.raw.clone());
    let filled = |key: &str| raw(key).filter(|text| !text.is_empty());
    let list = |key: &str| raw(key).map(|text| conf::lines(&text)).unwrap_or_default();
    let mut variables_ = Map::new();
    if let Some(view) = view {
        variables_ = variables(&view.definition, files, &FILTER_FIELDS);
        variables_.extend(variables(&view.init, files, &FILTER_FIELDS));
    }
    let fields = json!({
        "variables": variables_,
        "prefregex": filled("prefregex"),
        "failregex": list("failregex"),
        "effective_failregex": view.map(|view| view.effective_lines("failregex")).unwrap_or_default(),
        "ignoreregex": list("ignoreregex"),
        "effective_ignoreregex": view.map(|view| view.effective_lines("ignoreregex")).unwrap_or_default(),
        "effective_prefregex": view.and_then(|view| view.effective.get("prefregex")).map(|value| value.to_text()),
        "maxlines": filled("maxlines").and_then(|text| text.trim().parse::<u32>().ok()),
        "datepattern": filled("datepattern"),
        "journalmatch": filled("journalmatch"),
    });
    object(fields)
}

fn action_fields(view: Option<&DefinitionView>, files: &Files) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut effective = Map::new();
    let mut alarms = Vec::new();
    for key in ACTION_FIELDS {
        let raw = view.and_then(|view| written(view, key)).map(|option| option.raw.as_str());
        fields.insert(key.to_owned(), json!(raw));
        let Some(value) = view.and_then(|view| view.effective.get(key)).map(|value| value.to_text()) else { continue };
        alarms.extend(unsafe_tags(key, &value));
        effective.insert(key.to_owned(), json!(value));
    }
    let mut fields_of_all: Vec<&str> = ACTION_FIELDS.to_vec();
    fields.insert("effective".into(), effective.into());
    fields.insert("warnings".into(), json!(alarms));
    let (definition, init) = match view {
        Some(view) => {
            fields_of_all.push("__name__");
            (variables(&view.definition, files, &fields_of_all), variables(&view.init, files, &fields_of_all))
        }
        None => (Map::new(), Map::new()),
    };
    fields.insert("definition_vars".into(), definition.into());
    fields.insert("init_vars".into(), init.into());
    fields
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Tags of a command that put text of an attacker's choice into a shell.
pub fn unsafe_tags(key: &str, command: &str) -> Vec<String> {
    let found = UNSAFE_TAGS.iter().filter(|tag| command.contains(*tag));
    found.map(|tag| format!("{key} puts {tag} into a shell: text that anybody can write into the log")).collect()
}

/// What to warn of in the expressions of a filter, by option and number.
pub fn filter_warnings(filter: &Filter) -> Vec<String> {
    let groups = [("failregex", filter.failregex()), ("ignoreregex", filter.ignoreregex())];
    let mut found = Vec::new();
    for (option, expressions) in groups {
        for (index, regex) in expressions.iter().enumerate() {
            found.extend(warnings(regex.pattern()).iter().map(|warning| format!("{option} {}: {warning}", index + 1)));
        }
    }
    found
}

/// Compiles a filter: what is wrong with it, or what to warn of. One without any failregex is a part of others, and is
/// only compiled as far as it goes.
///
/// What can stop fail2ban is refused, unless `may_stay` says otherwise of it.
pub fn check_filter(view: &DefinitionView, may_stay: &dyn Fn(&str) -> bool) -> Result<Vec<String>, Refusal> {
    let definition = view.filter_definition().map_err(Refusal::Configuration)?;
    let filter = Filter::new(&definition, Clock::utc()).map_err(|_| every_bad_expression(&definition))?;
    let mut warnings = Expressions::of(&definition).judge(None, may_stay)?;
    warnings.extend(filter_warnings(&filter));
    Ok(warnings)
}

/// Each expression of a filter that is refused, by its option and its place among those of its kind, from 0.
fn every_bad_expression(definition: &FilterDefinition) -> Refusal {
    let named = |error: FilterError| {
        let is_list = matches!(error.option, "failregex" | "ignoreregex");
        let field = if is_list { format!("{}.{}", error.option, error.index) } else { error.option.to_owned() };
        (field, format!("{error}."))
    };
    Refusal::Expressions(Filter::problems(definition).into_iter().map(named).collect())
}
