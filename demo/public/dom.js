// What the views share: they give it text, never markup, and get elements.

export const byId = (id) => document.getElementById(id)

/** An element with properties and children; a string is a child as text. */
export function element(name, properties = {}, ...children) {
  const { dataset, ...rest } = properties
  const made = Object.assign(document.createElement(name), rest)
  Object.assign(made.dataset, dataset)
  made.append(...children)
  return made
}

export function button(text, onClick, className = 'small outline') {
  const made = element('button', { type: 'button', className }, text)
  made.addEventListener('click', onClick)
  return made
}

/**
 * Makes the children of `parent` those of `items`, in their order. An item that was there before keeps its element, and with it
 * the focus of whoever is just about to press a button in it.
 */
export function keep(parent, items, { key, make, fill }) {
  const before = new Map([...parent.children].map((child) => [child.dataset.key, child]))
  const wanted = items.map((item) => {
    const name = String(key(item))
    const child = before.get(name) ?? make(item)
    child.dataset.key = name
    fill?.(child, item)
    return child
  })
  for (const child of before.values()) if (!wanted.includes(child)) child.remove()
  wanted.forEach((child, at) => {
    if (parent.children[at] !== child) parent.insertBefore(child, parent.children[at] ?? null)
  })
}

/** Writes only what is new, so that a screen reader and a selection are left alone. */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text
}

export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}

export function clock(at) {
  return new Date(at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' })
}

/** `2:05` */
export function duration(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000))
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
}

let announcing

/** Tells those who do not see it. */
export function announce(text) {
  clearTimeout(announcing)
  byId('announcer').textContent = ''
  announcing = setTimeout(() => setText(byId('announcer'), text), 50)
}
