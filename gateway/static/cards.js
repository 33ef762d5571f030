// Products as cards. Everything that comes from outside goes in as text, never as markup.

import { product } from "./api.js";

const REASONS = {
  for_you: "Picked for you",
  often_together: "Often bought together",
  similar: "Similar",
  trending: "Popular now",
  new: "New in the shop",
};
const PICTURE_TRIES = 6; // the demo draws its pictures while the page is open already

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
}

/** Where a product's main picture is: its own URL, or the media folder. */
export function pictureUrl(item) {
  const image = Array.isArray(item.image) ? item.image[0] : item.image;
  if (typeof image !== "string" || !image) return "";
  if (/^(https?:|data:image\/)/i.test(image)) return image;
  return `/media/${image.split("/").map(encodeURIComponent).join("/")}`;
}

export function show(picture, item) {
  const url = pictureUrl(item);
  picture.alt = item.title || item.item_id;
  picture.classList.toggle("missing", !url);
  if (!url) return picture.removeAttribute("src");
  let tries = 0;
  picture.onerror = () => {
    picture.classList.add("missing");
    tries += 1;
    if (tries < PICTURE_TRIES && url.startsWith("/media/")) {
      setTimeout(() => { picture.src = `${url}?try=${tries}`; }, 1500 * tries);
    }
  };
  picture.onload = () => picture.classList.remove("missing");
  picture.src = url;
}

export function price(item) {
  const { amount, currency } = item.price || {};
  if (typeof amount !== "number") return "";
  try {
    return new Intl.NumberFormat(undefined, { style: "currency", currency }).format(amount);
  } catch {
    return `${amount} ${currency || ""}`.trim();
  }
}

export const chineseTitle = (item) => item.attributes?.title_zh || "";

async function reasonText(reason) {
  if (!reason) return "";
  if (reason.kind !== "because_you_viewed") return REASONS[reason.kind] || "";
  const seen = reason.item_id ? await product(reason.item_id).catch(() => null) : null;
  return seen ? `Because you viewed ${seen.title || seen.item_id}` : "Because of what you viewed";
}

async function card(entry, open, withReason) {
  const [item, reason] = await Promise.all([product(entry.item_id), withReason ? reasonText(entry.reason) : ""]);
  if (!item || item.available === false) return null;
  const button = element("button", "card");
  button.type = "button";
  const picture = element("img");
  picture.loading = "lazy";
  picture.width = picture.height = 320;
  show(picture, item);
  button.append(picture, element("span", "title", item.title || item.item_id));
  if (chineseTitle(item)) {
    const chinese = element("span", "title-zh", chineseTitle(item));
    chinese.lang = "zh";
    button.append(chinese);
  }
  button.append(element("span", "price", price(item)));
  if (entry.sponsored) button.append(element("span", "badge", "Sponsored"));
  if (reason) button.append(element("span", "reason", reason));
  button.addEventListener("click", () => open(item, entry));
  const place = element("li");
  place.dataset.itemId = entry.item_id;
  place.append(button);
  return place;
}

const newest = new WeakMap(); // list element -> number of its latest filling, so that a slow older one is dropped

/**
 * Fill a list with cards in the order of `entries`. In a personal list each says why it is there, and those
 * that were not there before light up.
 * Keyboard focus stays on the product that had it. Returns how many cards stand there, or -1 if overtaken.
 */
export async function fill(list, entries, open, { empty = null, isPersonal = false } = {}) {
  const turn = (newest.get(list) || 0) + 1;
  newest.set(list, turn);
  const cards = (await Promise.all(entries.map((entry) => card(entry, open, isPersonal).catch(() => null)))).filter(Boolean);
  if (newest.get(list) !== turn) return -1;
  const before = new Set([...list.children].map((place) => place.dataset.itemId));
  const focused = document.activeElement?.closest?.("li");
  const focusedId = focused && list.contains(focused) ? focused.dataset.itemId : "";
  for (const place of cards) {
    if (isPersonal && before.size && !before.has(place.dataset.itemId)) place.classList.add("fresh");
  }
  list.replaceChildren(...cards);
  if (focusedId) cards.find((place) => place.dataset.itemId === focusedId)?.firstChild.focus({ preventScroll: true });
  if (empty) empty.hidden = cards.length > 0;
  return cards.length;
}
