/*
 * Types, rules and format, side by side: they do not depend on each other, and the rules take as long as the other two.
 */
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'

const checks = [['tsc'], ['eslint', '--max-warnings=0', '.'], ['prettier', '--check', '--log-level=warn', '.']]

const passed = await Promise.all(checks.map(run))
if (passed.includes(false)) process.exitCode = 1

/** Prints what a check says when it has ended, so that no lines mix. @param {string[]} check */
async function run([command = '', ...args]) {
  // `npm run` puts the project's commands on the PATH.
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], shell: process.platform === 'win32' })
  const exit = new Promise((resolve) => child.on('close', resolve))
  const [out, errors, status] = await Promise.all([text(child.stdout), text(child.stderr), exit])
  console.log(`${command}: ${status === 0 ? 'passed' : 'FAILED'}\n${out}${errors}`.trim())
  return status === 0
}
