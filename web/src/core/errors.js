/** What bad input raises: one line that says what was found and what was expected, as the command's errors do. */
export class SteganoError extends Error {
  name = 'SteganoError';
}
