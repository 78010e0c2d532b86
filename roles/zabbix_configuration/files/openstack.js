// Asks each API of the cloud's catalogue whether it answers, and Octavia for the state of the load balancers.
var parameters = JSON.parse(value);

function ask(method, url, token, body) {
  var request = new HttpRequest();
  request.addHeader('Content-Type: application/json');
  if (token) {
    request.addHeader('X-Auth-Token: ' + token);
  }
  var begun = Date.now();
  var text = method === 'POST' ? request.post(url, JSON.stringify(body)) : request.get(url);
  return {
    status: request.getStatus(),
    headers: request.getHeaders(),
    text: text,
    milliseconds: Date.now() - begun
  };
}

function header(headers, wanted) {
  for (var name in headers) {
    if (name.toLowerCase() === wanted) {
      return headers[name];
    }
  }
  return '';
}

var keystone = parameters.url.replace(/\/+$/, '').replace(/\/v3$/, '') + '/v3';
var login = ask('POST', keystone + '/auth/tokens', '', {
  auth: {
    identity: {
      methods: ['application_credential'],
      application_credential: {id: parameters.id, secret: parameters.secret}
    }
  }
});
if (login.status !== 201) {
  throw 'Keystone answers ' + login.status + ' to a login at ' + keystone;
}
var token = header(login.headers, 'x-subject-token');
var endpoints = [];
var balancers = [];
JSON.parse(login.text).token.catalog.forEach(function (service) {
  service.endpoints.filter(function (endpoint) { return endpoint.interface === 'public'; }).forEach(function (endpoint) {
    var answer = {status: 0, milliseconds: 0};
    try {
      answer = ask('GET', endpoint.url, token);
      if (service.type === 'load-balancer') {
        var root = endpoint.url.replace(/\/+$/, '').replace(/\/v2(\.0)?$/, '');
        var listed = JSON.parse(ask('GET', root + '/v2.0/lbaas/loadbalancers', token).text).loadbalancers || [];
        balancers = balancers.concat(listed);
      }
    } catch (error) {
      // Whoever cannot be reached has the status 0.
      Zabbix.log(4, endpoint.url + ': ' + error);
    }
    endpoints.push({
      name: service.name || service.type,
      region: endpoint.region,
      // Without further rights some answer 401 or 404 at their root; they answer.
      up: answer.status > 0 && answer.status < 500 ? 1 : 0,
      milliseconds: answer.milliseconds
    });
  });
});
return JSON.stringify({
  endpoints: endpoints,
  // One that is deleted may be listed again, active, when its driver speaks of it late: nothing is left of it, also no
  // address (dougong/ghost_balancers.py). One that is being made has none yet.
  balancers: balancers.filter(function (balancer) {
    return balancer.vip_address && balancer.vip_port_id || balancer.provisioning_status === 'PENDING_CREATE';
  }).map(function (balancer) {
    return {
      id: balancer.id,
      name: balancer.name,
      operating: balancer.operating_status,
      provisioning: balancer.provisioning_status
    };
  })
});
