//! The chart of the benchmark: a usual set of small objects, without pods.

use sandbox::charts::Chart;

const TEMPLATE: &str = r"apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .Release.Name }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ .Release.Name }}
spec:
  selector:
    app: {{ .Release.Name }}
  ports:
    - port: 80
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {{ .Release.Name }}
spec:
  defaultBackend:
    service:
      name: {{ .Release.Name }}
      port:
        number: 80
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  replicas: 0
  selector:
    matchLabels:
      app: {{ .Release.Name }}
  template:
    metadata:
      labels:
        app: {{ .Release.Name }}
      annotations:
        message: {{ .Values.message | quote }}
    spec:
      serviceAccountName: {{ .Release.Name }}
      containers:
        - name: web
          image: web
";

pub(crate) fn small() -> Chart {
    Chart::new("small", "1.0.0").values("message: none\n").file("templates/all.yaml", TEMPLATE)
}
