//! One ban is one row of the archive, whoever tells of it and in whatever order.

use super::*;
use crate::store::archive::FAIL2BAN_MARK;
use crate::store::open::tests::temporary;

/// 2026-11-22T04:05:08Z.
const NOW: i64 = 1_795_320_308;
const IP: &str = "192.0.2.7";

fn own(until: Option<i64>) -> (OwnBan, Option<Country>) {
    let actor = Actor::User("admin".into());
    let ban = OwnBan { jail: "lab".into(), ip: IP.into(), at: NOW, until, note: "why".into(), actor };
    (ban, "DE".parse().ok())
}

fn names() -> Vec<(String, String)> {
    vec![("lab".to_owned(), IP.to_owned())]
}

fn stored(store: &mut Store, banned_at: i64) {
    let ban = NewBan {
        jail: "lab",
        ip: IP,
        banned_at,
        ban_time: Some(600.0),
        count: 2,
        failures: 3,
        matches: &["a line".to_owned()],
        country: None,
    };
    store.archive_bans(&[ban], Some((FAIL2BAN_MARK, "[]")), NOW).unwrap();
}

fn told(store: &mut Store, at: i64) {
    let ban = Logged { jail: "lab".into(), ip: IP.into(), at, country: None };
    store.archive_logged(&[ban], "{}", NOW).unwrap();
}

/// What there is: times and failures, the newest first, and the count that stands beside the rows.
#[track_caller]
fn rows(store: &Store) -> Vec<(i64, i64)> {
    let bans = store.archive_of_ip(IP, 100).unwrap();
    assert_eq!(store.archive_rows().unwrap(), bans.len() as u64);
    bans.iter().map(|ban| (ban.banned_at, ban.failures)).collect()
}

#[test]
fn a_ban_of_ours_is_one_row_whoever_tells_of_it_next() {
    for order in [[0, 1], [1, 0]] {
        let (_directory, mut store) = temporary();
        store.note_bans(&[own(Some(NOW + 60))], NOW).unwrap();
        store.bans_made(&names()).unwrap();
        for teller in order {
            for _ in 0..2 {
                match teller {
                    0 => stored(&mut store, NOW + 1),
                    _ => told(&mut store, (NOW + 1) * 1000 + 345),
                }
            }
        }
        assert_eq!(rows(&store), [(NOW + 1, 3)], "{order:?}");
        let ban = store.archive_of_ip(IP, 1).unwrap().remove(0);
        assert_eq!((ban.ban_time, ban.ours.note.as_str()), (Some(60.0), "why"));
        assert_eq!(ban.ours.actor, Some(Actor::User("admin".into())));
        // The next ban of the same address is another one.
        told(&mut store, (NOW + 70) * 1000);
        assert_eq!(rows(&store), [(NOW + 70, 0), (NOW + 1, 3)]);
        stored(&mut store, NOW + 65);
        assert_eq!(rows(&store), [(NOW + 65, 3), (NOW + 1, 3)]);
    }
}

#[test]
fn a_ban_whose_command_failed_goes_unless_somebody_else_tells_of_it() {
    let (_directory, mut store) = temporary();
    store.note_bans(&[own(None)], NOW).unwrap();
    assert_eq!(rows(&store), [(NOW, 0)]);
    store.bans_not_made(&names(), NOW).unwrap();
    assert_eq!(rows(&store), []);
    store.note_bans(&[own(None)], NOW).unwrap();
    told(&mut store, NOW * 1000);
    store.bans_not_made(&names(), NOW).unwrap();
    assert_eq!(rows(&store), [(NOW, 0)]);
    store.note_bans(&[(OwnBan { at: NOW + 9, ..own(None).0 }, None)], NOW).unwrap();
    store.bans_made(&names()).unwrap();
    store.bans_not_made(&names(), NOW).unwrap();
    assert_eq!(rows(&store).len(), 2);
}

#[test]
fn bans_that_the_log_tells_of_are_there_once_and_none_is_lost_in_one_second() {
    let (_directory, mut store) = temporary();
    for at in [0, 200, 5000, 0, 200, 5000] {
        told(&mut store, NOW * 1000 + at);
    }
    assert_eq!(rows(&store), [(NOW + 5, 0), (NOW + 1, 0), (NOW, 0)]);
    // The database tells of two of them, with the times of their last failures; the third it had lost before it was read.
    stored(&mut store, NOW - 3);
    stored(&mut store, NOW + 5);
    assert_eq!(rows(&store), [(NOW + 5, 3), (NOW + 1, 0), (NOW - 3, 3)]);
    stored(&mut store, NOW - 3);
    assert_eq!(rows(&store).len(), 3);
}

#[test]
fn a_ban_made_again_after_the_daemon_lost_it_is_the_same_ban() {
    let (_directory, mut store) = temporary();
    store.note_bans(&[own(Some(NOW + 9000))], NOW).unwrap();
    stored(&mut store, NOW);
    // The log was read before we knew.
    told(&mut store, (NOW + 500) * 1000);
    assert_eq!(rows(&store).len(), 2);
    store.ban_made_again("lab", IP, NOW + 498, NOW + 503).unwrap();
    for _ in 0..2 {
        stored(&mut store, NOW + 501);
        told(&mut store, (NOW + 500) * 1000);
    }
    assert_eq!(rows(&store), [(NOW, 3)]);
    told(&mut store, (NOW + 600) * 1000);
    assert_eq!(rows(&store), [(NOW + 600, 0), (NOW, 3)]);
}

#[test]
fn a_lift_is_told_of_the_ban_that_it_lifted_and_of_no_other() {
    let (_directory, mut store) = temporary();
    stored(&mut store, NOW - 2000);
    stored(&mut store, NOW - 1000);
    stored(&mut store, NOW - 100);
    let lift = |store: &mut Store, jail, ip, now| {
        store.note_lifts(&[NewLift { jail, ip }], &Actor::Console, "a customer", &[], now).unwrap()
    };
    lift(&mut store, Some("sshd"), Some(IP), NOW - 900);
    lift(&mut store, Some("lab"), Some("192.0.2.8"), NOW - 900);
    let lifted = |store: &Store| -> Vec<Option<i64>> {
        let bans = store.archive_of_ip(IP, 100).unwrap();
        bans.into_iter().map(|ban| ban.ours.lift.map(|lift| lift.at - NOW)).collect()
    };
    assert_eq!(lifted(&store), [None, None, None]);
    let ids = lift(&mut store, Some("lab"), Some(IP), NOW - 50);
    assert_eq!(lifted(&store), [Some(-50), None, None]);
    lift(&mut store, None, None, NOW - 950);
    assert_eq!(lifted(&store), [Some(-50), Some(-950), None], "the first was over by then");
    store.lifts_not_made(&ids).unwrap();
    assert_eq!(lifted(&store), [None, Some(-950), None]);
    let ban = store.archive_of_ip(IP, 2).unwrap().pop().unwrap();
    let lift = ban.ours.lift.unwrap();
    assert_eq!((lift.actor, lift.note.as_str()), (Actor::Console, "a customer"));
}
