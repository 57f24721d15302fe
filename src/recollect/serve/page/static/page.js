// Rates, and shows the list that comes of it. All that is shown is rendered by the service.
"use strict";

const status = document.getElementById("status");
const person = document.getElementById("person");
const GUEST = "recollect-guest"; // where a guest's ratings are kept: in this window only

function say(text, isProblem = false) {
  status.textContent = text;
  status.classList.toggle("problem", isProblem);
  clearTimeout(say.timer);
  if (!isProblem) say.timer = setTimeout(() => (status.textContent = ""), 4000);
}

async function ask(method, url, body) {
  const options = { method, headers: {} };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(url, options);
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw new Error(problem.detail || `The service answered ${answer.status}.`);
  }
  return answer;
}

// {item: {value, title}} of a guest.
function guestRatings() {
  return JSON.parse(sessionStorage.getItem(GUEST) || "{}");
}

async function store(item, title, value) {
  if (person.dataset.guest === "yes") {
    const ratings = guestRatings();
    if (value === null) delete ratings[item];
    else ratings[item] = { value, title };
    sessionStorage.setItem(GUEST, JSON.stringify(ratings));
    return;
  }
  const part = encodeURIComponent;
  const url = `/v1/users/${part(person.dataset.user)}/ratings/${part(item)}`;
  if (value === null) await ask("DELETE", url);
  else await ask("PUT", url, { value });
}

async function fetchList() {
  if (person.dataset.guest === "yes") {
    const entries = Object.entries(guestRatings()).map(([item, { value }]) => [item, value]);
    return ask("POST", "/try/list", { ratings: Object.fromEntries(entries) });
  }
  return ask("GET", `/people/${encodeURIComponent(person.dataset.user)}/list`);
}

async function showList() {
  const list = document.getElementById("list");
  const before = new Set([...list.querySelectorAll("[data-entry]")].map((li) => li.dataset.entry));
  list.setAttribute("aria-busy", "true");
  try {
    list.innerHTML = await (await fetchList()).text();
  } finally {
    list.setAttribute("aria-busy", "false");
  }
  let count = 0;
  for (const li of list.querySelectorAll("[data-entry]")) {
    if (before.has(li.dataset.entry)) continue;
    li.classList.add("new");
    count += 1;
  }
  return count;
}

// Everything that shows the rating of an item, and the row among the rated ones.
function showRated(item, title, value) {
  for (const group of document.querySelectorAll("fieldset.rate")) {
    if (group.dataset.item === item) setGroup(group, value);
  }
  const rated = document.getElementById("rated");
  const row = [...rated.children].find((li) => li.dataset.rated === item);
  if (value === null && row) row.remove();
  if (value !== null && !row) rated.prepend(ratedRow(item, title, value));
  document.getElementById("n-rated").textContent = `(${rated.children.length})`;
}

function setGroup(group, value) {
  for (const input of group.querySelectorAll("input[type=radio]")) {
    input.checked = value !== null && Number(input.value) === value;
  }
  const number = group.querySelector("input[type=number]");
  if (number) number.value = value === null ? "" : value;
  const button = group.querySelector("[data-remove]");
  if (value === null && button) button.remove();
  if (value !== null && !button) group.append(removeButton(group.dataset.title));
}

function removeButton(title) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  button.dataset.remove = "";
  button.textContent = "Take back";
  const hidden = document.createElement("span");
  hidden.className = "hidden";
  hidden.textContent = ` the rating of ${title}`;
  button.append(hidden);
  return button;
}

function ratedRow(item, title, value) {
  const row = document.createElement("li");
  row.dataset.rated = item;
  const link = document.createElement("a");
  link.href = `/items/${encodeURIComponent(item)}`;
  link.textContent = title;
  const group = document.querySelector("fieldset.rate").cloneNode(true);
  group.dataset.item = item;
  group.dataset.title = title;
  const legend = group.querySelector("legend");
  legend.textContent = `${legend.textContent.trim().split(" ")[0]} ${title}`;
  group.querySelectorAll("[data-remove]").forEach((button) => button.remove());
  group.querySelectorAll("input[type=radio]").forEach((input, place) => {
    const id = `rated-${item}-${place + 1}`;
    input.nextElementSibling.htmlFor = id;
    input.id = id;
    input.name = `rated-${item}`;
  });
  setGroup(group, value);
  row.append(link, group);
  return row;
}

let queue = Promise.resolve(); // one after another, so that the last list is the newest

function rate(group, value) {
  const inList = group.closest("#list");
  const place = inList ? [...inList.querySelectorAll("li")].indexOf(group.closest("li")) : -1;
  const { item, title } = group.dataset;
  queue = queue.then(async () => {
    try {
      await store(item, title, value);
      showRated(item, title, value);
      const count = await showList();
      say(`${title}: ${value === null ? "taken back" : value}. ${count} new in the list.`);
      if (place >= 0) focusPlace(place);
    } catch (problem) {
      say(problem.message, true);
    }
  });
}

// What was rated leaves the list: whoever uses the keyboard goes on at the same place.
function focusPlace(place) {
  const li = document.querySelectorAll("#list li")[place];
  const target = li && li.querySelector("input, button");
  (target || document.getElementById("list-title")).focus();
}

document.addEventListener("change", (event) => {
  const group = event.target.closest("fieldset.rate");
  if (!group || event.target.value === "") return;
  rate(group, Number(event.target.value));
});

// Arrow keys move between the numbers of a group; only a click, Enter or Space rates.
document.addEventListener("keydown", (event) => {
  const input = event.target;
  if (!(input instanceof HTMLInputElement) || input.type !== "radio") return;
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const group = [...input.closest("fieldset.rate").querySelectorAll("input[type=radio]")];
  if (step) {
    event.preventDefault();
    group[(group.indexOf(input) + step + group.length) % group.length].focus();
  } else if (event.key === "Enter") {
    event.preventDefault();
    input.click();
  }
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const group = button.closest("fieldset.rate");
  if (group && "remove" in button.dataset) return rate(group, null);
  if (group && button.dataset.value) return rate(group, Number(button.dataset.value));
  if (!button.dataset.post) return;
  button.disabled = true;
  try {
    await ask("POST", button.dataset.post);
    say(button.dataset.done);
    setTimeout(() => location.reload(), 1200);
  } catch (problem) {
    say(problem.message, true);
    button.disabled = false;
  }
});

const newItem = document.getElementById("new-item");
if (newItem) {
  newItem.addEventListener("submit", async (event) => {
    event.preventDefault();
    const fields = Object.fromEntries(new FormData(newItem));
    const url = `/v1/items/${encodeURIComponent(fields.id)}`;
    try {
      await ask("PUT", url, { title: fields.title || null, text: fields.text || null });
      location.href = `/items/${encodeURIComponent(fields.id)}`;
    } catch (problem) {
      say(problem.message, true);
    }
  });
}

// A guest who comes back to this window finds what they had rated.
if (person && person.dataset.guest === "yes") {
  const ratings = Object.entries(guestRatings());
  for (const [item, { value, title }] of ratings) showRated(item, title, value);
  if (ratings.length) showList();
}
