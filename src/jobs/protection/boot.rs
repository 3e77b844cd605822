//! Whether fail2ban starts with the machine: by systemd or OpenWrt's procd. Of others nothing is said.

use std::fs;
use std::path::Path;

/// The command that has it start with the machine whose files are below `root`; `None` where it does so already, or that is not known.
pub fn missing(root: &Path) -> Option<String> {
    let names = |directory: &str| -> Vec<String> {
        let entries = fs::read_dir(root.join(directory)).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    };
    if root.join("etc/openwrt_release").exists() {
        let is_there = root.join("etc/init.d/fail2ban").exists();
        let starts = names("etc/rc.d").iter().any(|name| name.starts_with('S') && name.ends_with("fail2ban"));
        return (is_there && !starts).then(|| "/etc/init.d/fail2ban enable".to_owned());
    }
    // systemd is the init here, and the unit is the package's own.
    let unit = ["etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"];
    let has_unit = unit.iter().any(|directory| root.join(directory).join("fail2ban.service").exists());
    if !root.join("run/systemd/system").exists() || !has_unit {
        return None;
    }
    let wanted = ["etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system", "run/systemd/system"];
    let starts = wanted.iter().any(|directory| {
        let groups =
            names(directory).into_iter().filter(|name| name.ends_with(".wants") || name.ends_with(".requires"));
        groups
            .into_iter()
            .any(|group| names(&format!("{directory}/{group}")).iter().any(|name| name == "fail2ban.service"))
    });
    (!starts).then(|| "systemctl enable fail2ban".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_enabled_by_a_link_of_its_init() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let make = |path: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        assert_eq!(missing(root), None, "some other init");
        make("lib/systemd/system/fail2ban.service");
        assert_eq!(missing(root), None, "systemd is installed and does not run, as in a container");
        make("run/systemd/system/other.service");
        assert_eq!(missing(root).as_deref(), Some("systemctl enable fail2ban"));
        make("etc/systemd/system/multi-user.target.wants/fail2ban.service");
        assert_eq!(missing(root), None);
        make("etc/openwrt_release");
        make("etc/init.d/fail2ban");
        assert_eq!(missing(root).as_deref(), Some("/etc/init.d/fail2ban enable"));
        make("etc/rc.d/S99fail2ban");
        assert_eq!(missing(root), None);
    }
}
