//! The model of helm's ways back: a rollback, and an uninstall. Neither takes notice of a signal.

use std::sync::Arc;

use crate::{
    behaviours::Write,
    helm::{Terms, begin, ready},
    process::{Cut, Process, error},
    records::{Phase, Record, history},
    scenario::Behaviour,
    workloads::{self, Takes},
};

pub async fn roll_back(
    process: &mut Process,
    to: u32,
    history_max: u32,
    force: bool,
    terms: &Terms,
) -> Result<(), Cut> {
    let (world, release) = (Arc::clone(&process.world), process.release.clone());
    let records = history(&world, &release);
    let Some(last) = records.last() else { return error("release: not found") };
    let Some(target) = records.iter().find(|record| record.revision == to) else {
        return error(format!("release has no {to} version"));
    };
    let mut next = target.clone();
    next.revision = last.revision + 1;
    "pending-rollback".clone_into(&mut next.status);
    next.description = format!("Rollback to {to}");
    begin(process, &next, history_max)?;
    hooks(process, &mut next, "pre-rollback", terms).await?;
    process.work(50, 400).await?;
    let takes = if force { Takes::Fields } else { Takes::Nothing };
    if let Err(cut) = workloads::apply(process, &next, Some(last), takes) {
        // What was newest, whatever it was; what is deployed below it stays so.
        let (mut last, description) = (last.clone(), last.description.clone());
        last.update(&world, &release, "superseded", &description);
        next.update(&world, &release, "failed", &format!("Rollback {:?} failed", release.1));
        return Err(cut);
    }
    process.work(20, 200).await?;
    if terms.waits
        && terms.hooks
        && let Err(cut) = ready(process, terms.step).await
    {
        if matches!(cut, Cut::Error { silent: false, .. }) {
            let (mut last, status, description) = (last.clone(), last.status.clone(), last.description.clone());
            last.update(&world, &release, &status, &description);
            next.update(&world, &release, "failed", &format!("Release {:?} failed", release.1));
        }
        return Err(cut);
    }
    for mut record in history(&world, &release).into_iter().filter(|record| record.status == "deployed") {
        let description = record.description.clone();
        // Whether that is written, helm does not ask.
        let _ = process.write(Write::Superseding, &mut record, "superseded", &description);
    }
    process.work(1, 40).await?;
    let description = next.description.clone();
    process.write(Write::Own, &mut next, "deployed", &description)
}

/// The hooks before a rollback to a revision, or before its removal. Where one fails, helm leaves the record as it is.
async fn hooks(process: &mut Process, record: &mut Record, which: &str, terms: &Terms) -> Result<(), Cut> {
    if !terms.hooks || process.world.settings.behaviour(&record.version) != Behaviour::WayBackFails {
        return Ok(());
    }
    record.note_hook(&process.world, &process.release, Phase::Running);
    process.work(500, 4000).await?;
    error(format!("{which} hooks failed: 1 error occurred:\n\t* job way-back failed: BackoffLimitExceeded"))
}

pub async fn uninstall(process: &mut Process, keep_history: bool, terms: &Terms) -> Result<(), Cut> {
    let (world, release) = (Arc::clone(&process.world), process.release.clone());
    let mut records = history(&world, &release);
    let Some(last) = records.last_mut() else { return error("uninstall: Release not loaded: release: not found") };
    if last.status == "uninstalled" {
        return if keep_history {
            error(format!("the release named {:?} is already deleted", release.1))
        } else {
            purge(process, &records).await
        };
    }
    // Whether that is written, helm does not ask.
    let _ = process.write(Write::Own, last, "uninstalling", "Deletion in progress (or silently failed)");
    hooks(process, last, "pre-delete", terms).await?;
    let mut last = last.clone();
    process.work(50, 300).await?;
    crate::ledger::removes(&world, &release, &last);
    workloads::remove(process, &last)?;
    process.work(50, 300).await?;
    let gone = if terms.waits { gone(process, &last, terms).await } else { Ok(()) };
    if let Err(cut @ (Cut::Dead { .. } | Cut::Told { .. } | Cut::Error { silent: true, .. })) = gone {
        return Err(cut);
    }
    if keep_history {
        last.update(&world, &release, "uninstalled", "Uninstallation complete");
        for mut record in history(&world, &release).into_iter().filter(|record| record.status == "deployed") {
            let description = record.description.clone();
            record.update(&world, &release, "superseded", &description);
        }
    } else {
        purge(process, &records).await?;
    }
    world.tell(format_args!("helm: {} is gone", release.1));
    gone
}

async fn gone(process: &mut Process, record: &Record, terms: &Terms) -> Result<(), Cut> {
    let until = tokio::time::Instant::now() + terms.step;
    while workloads::any_is_there(process, record) {
        if tokio::time::Instant::now() >= until {
            return error("uninstallation completed with 1 error(s): context deadline exceeded");
        }
        process.wait(std::time::Duration::from_secs(1)).await?;
    }
    Ok(())
}

/// The oldest goes first.
async fn purge(process: &mut Process, records: &[Record]) -> Result<(), Cut> {
    for (number, record) in records.iter().enumerate() {
        if number + 1 == records.len() {
            process.purge(record)?;
        } else {
            record.remove(&process.world, &process.release);
        }
        process.work(1, 20).await?;
    }
    Ok(())
}
