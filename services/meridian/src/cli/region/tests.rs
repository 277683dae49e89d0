//! `meridian region …`, as it is typed.

use clap::{CommandFactory as _, Parser as _};

use super::*;
use crate::cli::{Cli, Command};

/// What only looks.
const LOOKS: [&str; 6] = ["status", "plan", "verify", "timeline", "history", "why-not-ready"];

fn typed(line: &str) -> Result<RegionArgs, clap::Error> {
    let words = ["meridian", "region"].into_iter().chain(line.split(' '));
    Cli::try_parse_from(words).map(|cli| match cli.command {
        Command::Region(args) => args,
        other => panic!("{line}: {other:?}"),
    })
}

#[test]
fn every_mutation_can_be_tried_first_and_every_word_is_explained() {
    let cli = Cli::command();
    let region = cli.find_subcommand("region").unwrap();
    assert!(region.get_subcommands().count() > LOOKS.len());
    for command in region.get_subcommands() {
        let name = command.get_name();
        let dry_run = command.get_arguments().any(|word| word.get_long() == Some("dry-run"));
        assert_eq!(dry_run, !LOOKS.contains(&name), "{name}");
        assert!(command.get_about().is_some(), "{name}");
        for word in command.get_arguments() {
            assert!(word.get_help().is_some(), "{name}: {}", word.get_id());
        }
    }
    Cli::command().debug_assert();
}

#[test]
fn what_makes_no_sense_is_status_2_and_says_why() {
    for (line, why) in [
        ("fly", "unrecognized"),
        ("drill", "<REGION>"),
        ("drill EU", "a-z, 0-9 and -"),
        ("drill eu;reboot", "a-z, 0-9 and -"),
        ("move --to eu", "<SHARD>"),
        ("move 1", "--to <REGION>"),
        ("move 1 --to eu --to us", "cannot be used multiple times"),
        ("move 5-2 --to eu", "a range is written as 0-5"),
        ("move 0-99999 --to eu", "a number from 0 to 1023"),
        ("move  --to eu", "a number from 0 to 1023"),
        ("law 1,2 --under eu", "a range is written as 0-5"),
        ("set eu", "required"),
        ("set eu --weight -1", "a weight is a whole number"),
        ("set eu --weight NaN", "a weight is a whole number"),
        ("set eu --weight 65536", "a weight is a whole number"),
        ("set eu --capacity 65536", "65536 is not in"),
        ("set eu --role king", "full or witness"),
        ("set eu --failover-ready maybe", "maybe"),
        ("add eu=ftp://a.test", "is no base URL"),
        ("add eu", "NAME=URL"),
        ("add eu-=http://a.test", "does not end with -"),
        ("add eu=http://a.test --witness --weight 1", "cannot be used with"),
        ("add eu=http://a.test --capacity 0", "0 is not in"),
        ("found", "<REGION=URL>"),
        ("policy --drills sat@24", "0 to 23"),
        ("policy --drills funday@3", "no day of the week"),
        ("policy --drill eu", "--drills"),
        ("policy --drills sat@3 --no-drills", "cannot be used with"),
        ("policy --pause --resume", "cannot be used with"),
        ("policy --at-once 0", "0 is not in"),
        ("policy --pin 3", "SHARD=REGION"),
        ("degrade eu", "required"),
        ("degrade eu --queue 0", "0 is not in"),
        ("degrade eu --off --static", "cannot be used with"),
        ("timeline x", "invalid digit"),
        ("timeline -1", "'-1'"),
        ("history --last 0", "0 is not in"),
        ("abort 1 --why ", "a line of 1 to 200 characters"),
        ("switchover eu --timeout soon", "500ms, 90s or 2m"),
        ("switchover eu --timeout 0s", "longer than nothing"),
        ("verify --window 99999years", "ten years at most"),
        ("status -o yaml", "json"),
    ] {
        let refused = typed(line).expect_err(line);
        assert_eq!(refused.exit_code(), 2, "{line}: {refused}");
        assert!(refused.to_string().contains(why), "{line}: {refused}");
    }
}

#[test]
fn what_makes_sense_is_understood() {
    for line in [
        "status --shards -o json",
        "-o json move 0-5 3 1023 --to eu --dry-run",
        "found eu=http://a.test us=https://b.test:8443/shop --jurisdiction eu=eu --dry-run",
        "add tie=http://c.test --witness --jurisdiction eu",
        "set eu --weight 0 --capacity 0 --keep eu --keep fr --drop any",
        "policy --drills SUN@0 --drill eu --drill us --pin 3=eu --unpin 4 --dry-run",
        "failover eu --confirm eu --outside us --outside ap --timeout 90s",
        "abort --why enough --no-wait -o json",
        "degrade eu --read-only --queue 200",
        "timeline 18446744073709551615",
        "history --last 1000 -o json",
    ] {
        assert!(typed(line).is_ok(), "{line}: {:?}", typed(line).err());
    }
    let RegionCommand::Drill { run, .. } = typed("drill eu").unwrap().command else { panic!() };
    assert!(!run.dry_run && run.wait.longest().is_some(), "it waits unless it is told not to");
    let RegionCommand::Drill { run, .. } = typed("drill eu --no-wait").unwrap().command else { panic!() };
    assert_eq!(run.wait.longest(), None);
}
