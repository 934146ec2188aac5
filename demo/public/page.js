// The whole page. In: what the server says over HTTP and the socket. Out: text on the page, never markup from a message.
/* global document, fetch, location, setTimeout, WebSocket */

const byId = (id) => document.getElementById(id)

const retryMs = 1500
const loggedOutCode = 4401
let socket

showWhoWeAre()

/* Asked before every socket: a script cannot read why a WebSocket was refused, so it asks over HTTP who it is. */
async function showWhoWeAre() {
  try {
    const { user } = await call('GET', '/me')
    if (user === null) showLogin()
    else openSocket()
  } catch {
    retry()
  }
}

function openSocket() {
  // No token, no name: the browser sends the session cookie with the upgrade by itself.
  socket = new WebSocket(`${location.origin.replace(/^http/, 'ws')}/chat`)
  socket.addEventListener('message', ({ data }) => {
    const message = JSON.parse(data)
    handlers[message.type](message)
  })
  socket.addEventListener('close', ({ code }) => {
    byId('send').disabled = true
    // 4401 means log in again; anything else may pass, so it tries again.
    if (code === loggedOutCode) showLogin()
    else retry()
  })
}

function retry() {
  showStatus('wait', 'No connection. Trying again…')
  setTimeout(showWhoWeAre, retryMs)
}

/* One for each type of message from the server. */
const handlers = {
  session({ user, loggedInAt }) {
    const cameFromLogin = byId('inside').hidden
    showStatus('open', `Socket open: the server knows you as ${user}.`)
    byId('user').textContent = user
    byId('since').textContent = new Date(loggedInAt).toLocaleTimeString()
    byId('login').hidden = true
    byId('inside').hidden = false
    byId('send').disabled = false
    if (cameFromLogin) byId('text').focus()
  },

  presence({ people }) {
    byId('tabs').textContent = people.find(({ you }) => you).tabs
    byId('people').replaceChildren(
      ...people.map(({ user, tabs, you }) => element('li', `${user}${you ? ' (you)' : ''}, ${count(tabs, 'tab')}`)),
    )
  },

  echo({ user, text, fromThisTab }) {
    const item = element('li', '')
    item.append(element('strong', user), ` ${text} `)
    if (!fromThisTab) item.append(element('small', 'from another tab'))
    byId('log').append(item)
    item.scrollIntoView({ block: 'nearest' })
  },
}

function showLogin() {
  showStatus('out', 'Not logged in, so there is no socket.')
  byId('inside').hidden = true
  byId('log').replaceChildren()
  byId('attempts').replaceChildren()
  byId('login').hidden = false
  byId('name').focus()
}

byId('login-form').addEventListener('submit', async (event) => {
  event.preventDefault()
  try {
    await call('POST', '/login', { name: byId('name').value })
    byId('login-form').reset()
    openSocket()
  } catch (error) {
    showStatus('out', error.message)
  }
})

// Nothing is done with the answer: the new name comes back over the sockets, this tab's and the others'.
byId('rename-form').addEventListener('submit', async (event) => {
  event.preventDefault()
  try {
    await call('POST', '/name', { name: byId('new-name').value })
    byId('rename-form').reset()
  } catch (error) {
    showStatus('open', error.message)
  }
})

byId('chat-form').addEventListener('submit', (event) => {
  event.preventDefault()
  socket.send(byId('text').value)
  byId('chat-form').reset()
})

// The bridge closes the sockets of all tabs, and each shows its login.
byId('logout').addEventListener('click', async () => {
  try {
    await call('POST', '/logout')
  } catch (error) {
    showStatus('open', error.message)
  }
})

byId('attempt').addEventListener('click', async () => {
  byId('attempt').disabled = true
  try {
    const { attempts } = await call('POST', '/attempts')
    byId('attempts').replaceChildren(...attempts.map(attemptItem))
  } catch (error) {
    byId('attempts').replaceChildren(element('li', error.message))
  }
  byId('attempt').disabled = false
})

function attemptItem({ what, status, reason }) {
  const item = element('li', '')
  const verdict = element('strong', status === 101 ? '101 let in' : `${status} refused`)
  verdict.classList.toggle('in', status === 101)
  item.append(element('span', what), verdict)
  if (reason) item.append(element('code', `reason: ${reason}`))
  return item
}

function showStatus(state, text) {
  byId('status').dataset.state = state
  byId('status').textContent = text
}

function element(name, text) {
  return Object.assign(document.createElement(name), { textContent: text })
}

function count(number, noun) {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}

async function call(method, path, body) {
  const response = await fetch(path, {
    method,
    ...(body && { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
  })
  const answer = await response.json()
  if (!response.ok) throw new Error(answer.error)
  return answer
}
