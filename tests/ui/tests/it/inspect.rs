//! What every page owes its readers.

use anyhow::{Result, ensure};

use crate::browser::Browser;

/// Finds what assistive technology would stumble over, and pages wider than the window.
const SCRIPT: &str = r#"
const found = [];
const say = (what, element) => found.push(what + ": " + element.outerHTML.slice(0, 160));
const all = (selector) => [...document.querySelectorAll(selector)].filter((it) => !it.closest("[aria-hidden=true]"));
const id = (name) => document.getElementById(name);
const named = (it) => it.textContent.trim() || it.getAttribute("aria-label") || it.querySelector("img[alt]:not([alt=''])");
if (!/^(en|zh-CN)$/.test(document.documentElement.lang)) found.push("language: " + document.documentElement.lang);
if (!document.title.trim()) found.push("no title");
for (const one of ["h1", "main"]) {
  const there = document.querySelectorAll(one).length;
  if (there !== 1) found.push(there + " of " + one);
}
for (const field of all("input:not([type=hidden]), select, textarea"))
  if (!field.labels.length && !field.hasAttribute("aria-label") && !field.hasAttribute("aria-labelledby")) say("no label", field);
for (const label of all("label[for]")) if (!id(label.htmlFor)) say("label of nothing", label);
for (const link of all("a[href], button, summary")) if (!named(link)) say("no name", link);
for (const image of document.images) if (!image.hasAttribute("alt")) say("no alt", image);
for (const attribute of ["aria-labelledby", "aria-describedby"])
  for (const it of all(`[${attribute}]`))
    for (const name of it.getAttribute(attribute).split(/\s+/)) if (!id(name)) say(attribute + " of nothing", it);
const ids = [...document.querySelectorAll("[id]")].map((it) => it.id);
for (const name of new Set(ids.filter((name, at) => ids.indexOf(name) !== at))) found.push("twice: #" + name);
const wide = document.documentElement.scrollWidth - window.innerWidth;
if (wide > 1) found.push("wider than the window by " + wide + " pixels");
return found;
"#;

/// Fails on what is wrong with the page; pages are not looked into where scripts are off.
pub(crate) async fn inspect(browser: &Browser) -> Result<()> {
    let complaints = browser.complaints().await?;
    // The address of a page that is an answer to something wrong is in the log too.
    let ours: Vec<_> =
        complaints.iter().filter(|text| !text.contains("responded with a status of 4")).collect();
    ensure!(ours.is_empty(), "the console says {ours:#?}");
    if browser.window().scripts {
        let found = browser.run(SCRIPT).await?;
        ensure!(found.as_array().is_some_and(Vec::is_empty), "{found:#}");
    }
    Ok(())
}
