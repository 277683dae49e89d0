// What pages can do better with scripts; everything works without.
(() => {
  "use strict";
  document.documentElement.classList.add("scripted");

  // The search box: suggestions close on Escape and when the focus leaves; arrows walk through them.
  const form = document.querySelector("form.search");
  const list = document.getElementById("suggestions");
  const close = () => { if (list) list.replaceChildren(); };
  if (form && list) {
    form.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        close();
        form.querySelector("input").focus();
      }
      if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
      const stops = [form.querySelector("input"), ...list.querySelectorAll("a")];
      const at = stops.indexOf(document.activeElement);
      if (at < 0 || stops.length < 2) return;
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : stops.length - 1;
      stops[(at + step) % stops.length].focus();
    });
    form.addEventListener("focusout", (event) => {
      if (!form.contains(event.relatedTarget)) window.setTimeout(close, 150);
    });
    form.addEventListener("submit", close);
  }

  // What is wrong with a form is read out first.
  const issues = document.getElementById("issues");
  if (issues) issues.focus();

  // A payment that was waited for and has ended: show the whole page as it is now.
  document.body.addEventListener("htmx:afterSettle", () => {
    const state = document.getElementById("pay-state");
    if (state && !state.hasAttribute("hx-get") && state.dataset.seen !== "ended") {
      window.location.replace(window.location.pathname);
    }
  });
  const state = document.getElementById("pay-state");
  if (state && !state.hasAttribute("hx-get")) state.dataset.seen = "ended";
})();
