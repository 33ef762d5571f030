// The shop page: products, search, one shopper's recommendations, changing as one clicks.

import * as api from "./api.js";
import { chineseTitle, fill, price, show } from "./cards.js";

const LIST_SIZE = 12;
const LIST_ASKED = 50; // more than is shown, as the products that were opened on this page are left out
const FIRST_SHELF = 18; // cards that are shown before the rest is fetched
const GRID_SIZE = 60; // cards below which the shelves are still filling up and are asked for again
const REFRESH_MS = 5000;
const STRATEGIES = {
  personal: "Personal",
  session: "From this visit",
  similar: "Like what you saw",
  trending: "What is popular",
};
const NEVER = "0000-"; // how the versions of lists begin for whom nothing is known
const DONE = {
  add_to_cart: "Added to the cart.",
  purchase: "Bought. Thank you.",
  like: "Noted: you like it.",
  hide: "It will not be shown to you again.",
};

const GUEST = "you-"; // how the names begin that the page makes up

const $ = (id) => document.getElementById(id);
const sentAt = new Map(); // event id -> when it was sent, to say how quickly its list came
const seenCategories = new Set();
const state = { userId: "", stop: () => {}, shown: null, searching: false, category: "", list: null, opened: new Set() };

function say(id, text) {
  $(id).textContent = text;
  $(id).hidden = !text;
}

const complain = (error) => say("problem", error.message);

function eventId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Tell the shop what the shopper did; the new list comes by the stream. */
async function tell(type, details, context = {}) {
  const id = eventId();
  sentAt.set(id, performance.now());
  const session_id = `${state.userId}-page`;
  try {
    await api.send({ event_id: id, user_id: state.userId, type, session_id, context, ...details });
    say("problem", "");
  } catch (error) {
    complain(error);
  }
}

// One shopper and the list that follows him.

function become(userId) {
  state.stop();
  state.userId = userId;
  state.list = null;
  state.opened.clear();
  localStorage.setItem("freshet-shopper", userId);
  $("user").value = userId;
  $("who").textContent = userId.startsWith(GUEST) ? "For you" : `For ${userId}`;
  $("strategy").hidden = true;
  $("freshness").textContent = "";
  $("for-you").replaceChildren();
  $("for-you-empty").hidden = false;
  state.stop = api.follow(userId, LIST_ASKED, showList, complain);
}

async function showList(list) {
  state.list = list;
  const isUnknown = list.version.startsWith(NEVER);
  const sent = sentAt.get(list.trigger?.event_id);
  if (sent !== undefined) {
    sentAt.clear();
    $("freshness").textContent = `This list answers your last action; it came ${Math.round(performance.now() - sent)} ms after it.`;
  }
  say("strategy", isUnknown ? "" : STRATEGIES[list.strategy] || list.strategy);
  // What is popular for whom nothing is known stands below already.
  const items = isUnknown ? [] : list.items.filter((entry) => !state.opened.has(entry.item_id));
  await fill($("for-you"), items.slice(0, LIST_SIZE), opener("recommendations"), {
    empty: $("for-you-empty"),
    isPersonal: true,
  });
}

// Products: the shop's shelves, a category, or what was searched for.

function opener(placement) {
  return (item, entry) => {
    const places = [...document.querySelectorAll(`[data-placement="${placement}"] > li`)];
    const position = places.findIndex((place) => place.dataset.itemId === entry.item_id);
    const context = { placement };
    if (position >= 0) context.position = position;
    if (placement === "recommendations" && state.list?.rec_id) context.rec_id = state.list.rec_id;
    state.opened.add(item.item_id);
    tell("click", { item_id: item.item_id }, context);
    openProduct(item);
  };
}

/** The popular strip and, where nobody searches, the shelves below it. */
async function showShop() {
  const popular = (await api.trending(100)).items;
  await fill($("trending"), popular.slice(0, LIST_SIZE), opener("trending"), { empty: $("trending-empty") });
  const shelf = popular.slice(LIST_SIZE);
  const isOpen = () => !state.searching && !state.category;
  if (isOpen() && !$("grid").childElementCount) await showShelf(shelf.slice(0, FIRST_SHELF));
  await showCategories(popular);
  if (isOpen() && $("grid").childElementCount < GRID_SIZE) await showShelf(shelf);
}

async function showShelf(entries) {
  $("products-title").textContent = state.category || "Products";
  await fill($("grid"), entries, opener("shop"), { empty: $("grid-empty") });
}

async function showCategories(entries) {
  const items = await Promise.all(entries.map((entry) => api.product(entry.item_id).catch(() => null)));
  for (const item of items) if (item?.category?.[0]) seenCategories.add(item.category[0]);
  const names = [...seenCategories].sort();
  if (names.length === $("categories").childElementCount - 1) return;
  $("categories").replaceChildren(
    ...["", ...names].map((name) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name || "All";
      button.dataset.category = name;
      button.setAttribute("aria-pressed", String(name === state.category));
      return button;
    }),
  );
}

async function chooseCategory(name) {
  state.category = name;
  state.searching = false;
  for (const button of $("categories").children) {
    button.setAttribute("aria-pressed", String(button.dataset.category === name));
  }
  try {
    const popular = (await api.trending(100, name)).items;
    if (state.category === name && !state.searching) await showShelf(name ? popular : popular.slice(LIST_SIZE));
  } catch (error) {
    complain(error);
  }
}

async function runSearch() {
  const text = $("query").value.trim();
  const image = $("photo").files[0] || null;
  if (!text && !image) return chooseCategory("");
  state.searching = true;
  say("problem", "");
  $("products-title").textContent = "Searching …";
  if (text) tell("search", {}, { query: text, placement: "search" });
  try {
    const answer = await api.search({ text, image, n: 48, userId: state.userId });
    const count = await fill($("grid"), answer.items, opener("search"), { empty: $("grid-empty") });
    if (count < 0) return;
    const what = [text && `“${text}”`, image && "your picture"].filter(Boolean).join(" and ");
    $("products-title").textContent = count ? `Best matches for ${what}` : `Nothing for ${what}`;
    if (answer.did_you_mean) $("products-title").textContent += `; did you mean “${answer.did_you_mean}”?`;
    $("products").focus({ preventScroll: true });
    $("products").scrollIntoView({ block: "start" });
  } catch (error) {
    $("products-title").textContent = "Products";
    complain(error);
  }
}

let typed = 0;

/** A moment after the last letter, so that a quick typist asks once. */
function suggestSoon() {
  clearTimeout(typed);
  typed = setTimeout(async () => {
    const text = $("query").value;
    const { queries } = await api.suggest(text).catch(() => ({ queries: [] }));
    if ($("query").value !== text) return;
    $("suggestions").replaceChildren(...queries.map((query) => Object.assign(document.createElement("option"), { value: query })));
  }, 150);
}

// One product.

async function openProduct(item) {
  state.shown = item;
  show($("product-image"), item);
  $("product-title").textContent = item.title || item.item_id;
  $("product-title-zh").textContent = chineseTitle(item);
  $("product-price").textContent = price(item);
  $("product-brand").textContent = [item.brand, ...(item.category || [])].filter(Boolean).join(" · ");
  $("product-description").textContent = item.description || "";
  $("product-done").textContent = "";
  const rows = Object.entries(item.attributes || {}).filter(([name]) => !name.endsWith("_zh"));
  $("product-attributes").replaceChildren(
    ...rows.flatMap(([name, value]) => {
      const term = document.createElement("dt");
      const meaning = document.createElement("dd");
      term.textContent = name;
      meaning.textContent = value;
      return [term, meaning];
    }),
  );
  if (!$("product").open) $("product").showModal();
  $("product").scrollTop = 0;
  $("similar").replaceChildren();
  $("similar-empty").hidden = true;
  try {
    const alike = await api.similar(item.item_id, 8);
    if (state.shown === item) await fill($("similar"), alike.items, opener("similar"), { empty: $("similar-empty") });
  } catch (error) {
    complain(error);
  }
}

function act(event) {
  const action = event.target.dataset?.action;
  if (!action || !state.shown) return;
  tell(action, { item_id: state.shown.item_id }, { placement: "product" });
  $("product-done").textContent = DONE[action];
}

// What goes on by itself.

async function refresh() {
  try {
    const { isReady, search } = await api.readiness();
    say("notice", isReady ? "" : "The shop is still warming up: products and lists appear as they are ready.");
    $("multilingual").hidden = search?.multilingual !== false;
    await showShop();
  } catch (error) {
    complain(error);
  }
  setTimeout(refresh, $("grid").childElementCount < GRID_SIZE ? REFRESH_MS / 3 : REFRESH_MS);
}

function choosePhoto() {
  const file = $("photo").files[0];
  URL.revokeObjectURL($("photo-preview").src);
  $("photo-chosen").hidden = !file;
  if (file) $("photo-preview").src = URL.createObjectURL(file);
}

for (const [id, placement] of [["for-you", "recommendations"], ["trending", "trending"], ["grid", "shop"], ["similar", "similar"]]) {
  $(id).dataset.placement = placement;
}
$("search").addEventListener("submit", (event) => { event.preventDefault(); runSearch(); });
$("query").addEventListener("input", suggestSoon);
$("query").addEventListener("search", () => { if (!$("query").value) runSearch(); });
$("photo").addEventListener("change", () => { choosePhoto(); if ($("photo").files[0]) runSearch(); });
$("photo-remove").addEventListener("click", () => { $("photo").value = ""; choosePhoto(); runSearch(); });
$("shopper").addEventListener("submit", (event) => { event.preventDefault(); become($("user").value.trim() || state.userId); });
$("categories").addEventListener("click", (event) => { if ("category" in event.target.dataset) chooseCategory(event.target.dataset.category); });
$("product").addEventListener("click", (event) => { if (event.target === $("product")) $("product").close(); else act(event); });

become(localStorage.getItem("freshet-shopper") || GUEST + eventId().slice(0, 4));
refresh();
