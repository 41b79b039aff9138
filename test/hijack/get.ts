// Prints what is at some addresses.

for (const url of process.argv.slice(2)) {
  const response = await fetch(url).catch((error: unknown) => error as Error);
  if (response instanceof Response) console.log(await response.text());
  else console.log((response.cause as NodeJS.ErrnoException).code);
}
