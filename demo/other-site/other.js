// What an attacker's page does, and what its script learns: close to nothing.

const port = new URLSearchParams(location.search).get('port')
const result = document.getElementById('result')
const socket = new WebSocket(`ws://${location.hostname}:${port}/room`)
let opened = false

socket.addEventListener('open', () => {
  opened = true
  result.textContent = 'The socket is open. This must not be.'
})
socket.addEventListener('close', ({ code }) => {
  if (!opened) result.textContent = `Refused. All that a script gets to know is the close code ${code}.`
})
