// Posts what has happened to whoever wants to know, as one JSON object.
var parameters = JSON.parse(value);
var url = parameters.url;
delete parameters.url;
var request = new HttpRequest();
request.addHeader('Content-Type: application/json');
var answer = request.post(url, JSON.stringify(parameters));
if (request.getStatus() < 200 || request.getStatus() >= 300) {
  throw 'HTTP ' + request.getStatus() + ': ' + answer;
}
return 'OK';
