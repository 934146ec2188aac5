// The whole page: what the server says over the socket, and how the socket ended.
/* global document, fetch, location, WebSocket */

const form = document.querySelector('form')
const output = document.querySelector('output')
const show = (text) => (output.textContent = text)
let socket

// #region docs
function connect() {
  socket = new WebSocket(`${location.origin.replace('http', 'ws')}/ws`)
  socket.onmessage = ({ data }) => show(data)
  // 4401 is a logout, in whichever tab. 1006 is a refusal, too: a script cannot read why, so it asks over HTTP.
  socket.onclose = async ({ code }) => {
    const { user } = await (await fetch('/me')).json()
    show(user ? `Closed with ${code}` : `Please log in (${code})`)
  }
}
// #endregion

const actions = {
  'Log in': async () => {
    await fetch(`/login?name=${encodeURIComponent(form.elements.name.value)}`, { method: 'POST' })
    show('Logged in')
  },
  Connect: connect,
  Ask: () => socket.send('Who am I?'),
  'Log out': () => fetch('/logout', { method: 'POST' }),
}

form.addEventListener('click', ({ target }) => actions[target.textContent]?.())
form.addEventListener('submit', (event) => event.preventDefault())
