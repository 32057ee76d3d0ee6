// Package handlebars fills the templates of hooks: the part of Handlebars that templates
// over the columns of a row need.
//
//   - {{path}} is the text of a value with & < > " ' ` = escaped as HTML; {{{path}}} and
//     {{&path}} are the text itself.
//   - A path is Column, a.b, a.0, [Column name] or a.[a name].b; this and . are the value at
//     hand, ../ leads out of a block, @root is the row. data.Column is a column, too, unless
//     there is one called data. A column whose name has dots is found without brackets, which
//     Handlebars would not.
//   - {{#if}}, {{#unless}}, {{#each}} and {{#with}} with {{else}}, {{else if}} and {{^}};
//     inside each, @index, @key, @first and @last.
//   - {{! comment }}, {{!-- comment --}}, ~ to take away white space, and \{{ for two braces.
//     A block, an else or a comment that is alone on a line takes the line with it.
//
// x.length is that of a list, and of a text in UTF-16 code units.
//
// Values become text as JavaScript makes them: nothing for null and what is missing, 1,2 for
// a list, [object Object] for an object. Keys of objects are iterated in ascending order,
// since rows keep none. Helpers, partials and decorators are not known.
package handlebars
