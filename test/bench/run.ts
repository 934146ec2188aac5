/*
 * `npm run bench`, or `npm run bench -- redis`.
 * In: the name of a benchmark. Out: its figures.
 */
const { argv } = process
await import(`./${argv[2] ?? 'authenticate'}.js`)
