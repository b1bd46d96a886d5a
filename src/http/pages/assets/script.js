// What pages do in browsers that run scripts. Everything works without it.
"use strict";

// A button beside each password that shows it.
for (const input of document.querySelectorAll("input[data-show]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  const say = () => {
    button.textContent = input.type === "password" ? input.dataset.show : input.dataset.hide;
    button.setAttribute("aria-label", `${button.textContent} (${input.labels[0].textContent})`);
  };
  button.addEventListener("click", () => {
    input.type = input.type === "password" ? "text" : "password";
    say();
    input.focus();
  });
  say();
  const row = document.createElement("span");
  row.className = "with-button";
  input.before(row);
  row.append(input, button);
  // It is never sent as a text, so that browsers do not keep it in their lists.
  input.form.addEventListener("submit", () => { input.type = "password"; });
}

// What went wrong is read first.
document.querySelector("[role=alert]")?.focus();

// A page that comes back from the browser's memory may be of a session that is over: it is asked for anew.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

// Two minutes before the session ends for want of activity, that is said, and one action goes on. Nothing that was filled in is lost:
// the page stays.
const idle = document.querySelector("form.idle");
if (idle) {
  let timers = [];
  let warning;
  const wait = (seconds) => {
    timers.forEach(clearTimeout);
    warning?.remove();
    idle.classList.remove("soon");
    const say = (text, at) => setTimeout(() => {
      warning?.remove();
      warning = document.createElement("p");
      warning.setAttribute("role", "alert");
      warning.textContent = text;
      idle.prepend(warning);
      idle.classList.add("soon");
    }, Math.max(0, at) * 1000);
    timers = [say(idle.dataset.now, seconds - 120), say(idle.dataset.over, seconds)];
  };
  const seconds = Number(idle.dataset.seconds);
  wait(seconds);
  idle.addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = await fetch(idle.action, { method: "POST", body: new URLSearchParams(new FormData(idle)) }).catch(() => null);
    if (answer?.ok && !new URL(answer.url).pathname.endsWith("/login")) wait(seconds);
    else location.reload();
  });
}
