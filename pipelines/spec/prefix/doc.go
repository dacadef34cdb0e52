// Package prefix evaluates what the keys of objects start with: Amazon Data Firehose's S3 prefix expressions.
//
// A prefix is text with expressions !{namespace:value}:
//
//	!{timestamp:yyyy/MM/dd}            the arrival of the oldest record of the object, by a Java DateTimeFormatter pattern
//	!{partitionKeyFromQuery:name}      a partition key that a jq query gave
//	!{partitionKeyFromLambda:name}     a partition key that a transform gave
//	!{firehose:random-string}          11 letters and digits, new for every occurrence
//	!{firehose:error-output-type}      why records are dead letters, such as processing-failed
//
// error-output-type stands in the prefix of dead letters only, and must if that has any expression; partition keys stand
// in the prefix of objects only. As in Firehose, a prefix of objects with neither a timestamp nor a partition key gets
// !{timestamp:yyyy/MM/dd/HH/} appended, the empty prefix too. Nothing is appended to a prefix of dead letters.
//
// # Two phases
//
// Records share an object when they have the same partition values. [Template.Group] gives the identity of these values
// when a record comes, [Template.Key] the evaluated prefix when the object is named. A record whose prefix could exceed
// [MaxLength] bytes fails in Group, so that Key does not fail later for all the records of an object.
//
// # Partition values are hostile
//
// They come from data. No value can add or leave a level of the key:
//
//   - / \ % and the control characters U+0000 to U+001F and U+007F to U+009F are percent-encoded, byte by byte;
//   - bytes that are not UTF-8 are percent-encoded;
//   - in the values . and .. the dots are percent-encoded;
//   - the empty value becomes __HIVE_DEFAULT_PARTITION__, which query engines read as null.
//
// As % is encoded too, different values never become the same text, but for the empty one.
//
// # Timestamp patterns
//
// The letters are those of java.time.format.DateTimeFormatter with Locale.US, in the template's time zone:
//
//	y u       year: yy the last two digits, else padded to the count
//	Y         week-based year, likewise; w ww week of it, W week of the month
//	M L       month: M, MM, MMM (Jan), MMMM (January), MMMMM (J)
//	Q q       quarter: Q, QQ, QQQ (Q1), QQQQ (1st quarter), QQQQQ (1)
//	d D       day of the month (1 or 2 letters), of the year (1 to 3)
//	E         day of the week: E to EEE (Mon), EEEE (Monday), EEEEE (M)
//	e         the same as a number, Sunday is 1: e, ee; eee to eeeee as E
//	a         AM or PM
//	H k K h   hour 0-23, 1-24, 0-11, 1-12; m minute, s second (1 or 2 letters)
//	S         fraction of the second, as many digits as letters, up to 9
//	A n N     millisecond of the day, nanosecond of the second, nanosecond of the day
//	X x Z     offset: X (Z, +01, +0530), XX (+0100), XXX (+01:00); x the same with +00 for Z; Z to ZZZ (+0100)
//	'text'    literal; '' is one quote
//
// Weeks follow Locale.US as Firehose's do: they begin on Sunday, and the week of January 1 is week 1. A plain year beside
// a week number is a common mistake: write YYYY with ww. Other letters, and [ ] { } #, are errors.
package prefix
