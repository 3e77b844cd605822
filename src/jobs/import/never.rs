//! What fail2ban is told to ignore, by its files and by its jails: an import into a set of our own does not ban it either.

use std::time::Duration;

use super::jail::JAIL;
use crate::conf::{Overlay, StreamOptions, Tree, Value, Version};
use crate::domain::address::IpOrNet;
use crate::fail2ban::Error;
use crate::fail2ban::reload::Installation;
use crate::jobs::bans::answering;

/// How long the daemon may take to name one ignore list.
const ASKS: Duration = Duration::from_secs(10);

/// The addresses and networks of all ignore lists. Host names in them are passed over: nothing is looked up here. Where neither the files can
/// be read nor the daemon answers, that is an error, for then nobody knows whom not to ban.
pub(super) fn ignored(place: &Installation) -> Result<Vec<IpOrNet>, Error> {
    let of_files = ignored_by_files(place);
    let of_daemon = ignored_by_daemon(place);
    match (of_files, of_daemon) {
        (None, Err(error)) => Err(error),
        (of_files, of_daemon) => {
            let mut all = of_files.unwrap_or_default();
            all.extend(of_daemon.unwrap_or_default());
            all.sort_unstable();
            all.dedup();
            Ok(all)
        }
    }
}

/// Those of the enabled jails, and of a jail as ours would be, which has those of `[DEFAULT]`.
fn ignored_by_files(place: &Installation) -> Option<Vec<IpOrNet>> {
    let options = StreamOptions { version: Version::known(place.release().as_deref()), ..StreamOptions::default() };
    let base = place.config_dir.to_string_lossy();
    let file = format!("{}/jail.d/zz-bangui-{JAIL}.local", base.trim_end_matches('/'));
    let jail = format!("[{JAIL}]\nenabled = true\nfilter =\naction =\nbackend = polling\n");
    let overlay = Overlay::from([(file, Some(jail.into_bytes()))]);
    let stream = Tree::load_with(&place.config_dir, overlay).ok()?.stream(&options).ok()?;
    let ignores = |command: &&Vec<Value>| command.get(2).and_then(Value::as_str) == Some("addignoreip");
    let words = stream.commands.iter().filter(ignores).flat_map(|command| command.iter().skip(3));
    Some(words.filter_map(|word| word.as_str()?.parse().ok()).collect())
}

fn ignored_by_daemon(place: &Installation) -> Result<Vec<IpOrNet>, Error> {
    let mut daemon = answering(&place.socket, ASKS)?;
    let mut all = Vec::new();
    for jail in daemon.jail_names()? {
        match daemon.ignore_list(&jail) {
            // It stopped meanwhile, or cannot be asked because of its name.
            Err(Error::UnknownJail(_) | Error::NameTaken(_)) => {}
            list => all.extend(list?.iter().filter_map(|entry| entry.parse::<IpOrNet>().ok())),
        }
    }
    Ok(all)
}
